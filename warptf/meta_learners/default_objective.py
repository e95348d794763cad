"""The objective of a meta-learner that is given none."""

from typing import Any, Literal

from warptf.meta_learners.argument_checks import check_kind
from warptf.objectives.objective import Objective

AUTO: Literal["auto"] = "auto"


def resolved_objective(given: Any, default: Objective, model: str, moves: Any) -> Objective | None:
    """Returns the objective, which by default follows the model.

    Args:
        given: the argument: an objective, `None`, or `"auto"`.
        default: what `"auto"` stands for where there is something to move; elsewhere `None`.
        model: the model's name.
        moves: the variables that an objective would move.

    Raises:
        TypeError: it is none of these.
        ValueError: an objective was given and there is nothing to move.
    """
    if isinstance(given, str) and given == AUTO:
        return default if moves else None
    check_kind("objective", given, (Objective, type(None)))
    if given is not None and not moves:
        raise ValueError(
            f"model {model!r} has no warp variables for the objective to move: insert warp layers "
            "(warptf.interleave), declare some (warptf.designate), learn the inner rates of an "
            "inner loop (warptf.inner_optimizers.LearnedSGD), or leave the objective out."
        )
    return given
