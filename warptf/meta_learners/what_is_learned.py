"""Checks of what a meta-learner with an inner loop is to learn."""

from collections.abc import Sequence

from warptf.initializations.initialization import Initialization
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.needs import Need, check_offered
from warptf.objectives.objective import Objective


def check_needs(
    objective: Objective | None,
    initialization: Initialization,
    offers: Sequence[Need],
    inner_steps: int,
    learner: str,
) -> None:
    """Refuses an objective or an initialisation that a meta-learner cannot learn by.

    Args:
        objective: what the warp parameters minimise, or `None`.
        initialization: what the initialisation minimises.
        offers: the ways in which an objective can be learned.
        inner_steps: the number of inner steps.
        learner: the meta-learner's class.

    Raises:
        ValueError: it needs another way, or steps where there are none.
    """
    # Whoever has an inner loop lets an initialisation watch it, or differentiate it.
    ways = (Need.INNER_LOOP, Need.WHOLE_ADAPTATION)
    check_offered("initialization", initialization, ways, learner)
    if objective is None:
        return
    way = check_offered("objective", objective, offers, learner)
    if way is not Need.WHOLE_ADAPTATION and not inner_steps:
        raise ValueError(
            f"objective {type(objective).__name__} looks ahead at every inner step, and "
            "inner_steps=0 has none: use 1 or more, or BackpropThroughAdaptation()."
        )


def check_learns(
    objective: Objective | None, initialization: Initialization, inner_optimizer: InnerOptimizer
) -> None:
    """Refuses to train where nothing would move.

    Args:
        objective: what the warp parameters minimise, or `None`.
        initialization: what the initialisation minimises.
        inner_optimizer: the update rule.

    Raises:
        ValueError: nothing would move, or values to be learned would not.
    """
    if objective is None and not initialization.learns:
        raise ValueError(
            "there is nothing to meta-train: objective is None, as it is by default where no layer "
            "is a warp layer, and the initialization is Fixed. Insert warp layers "
            "(warptf.interleave), or pass an initialization, such as "
            "warptf.initializations.MAML()."
        )
    if objective is None and inner_optimizer.trainable_variables:
        raise ValueError(
            f"inner_optimizer {type(inner_optimizer).__name__} has values to learn, but objective "
            "is None and would leave them where they are. Pass "
            "warptf.objectives.BackpropThroughAdaptation(), or WarpGrad(), or an inner optimizer "
            "that learns none."
        )
