"""What the untrained learner scores on the test tasks, beside the learner that is reported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .selection import by_task, gain
from .whole_files import read_json, write_json

WORDS = "the untrained learner was best"
BEST = "best on validation"
"""What a result says of its learner where it was chosen; else it says "last"."""
UNTRAINED = f"untrained, {BEST}"
"""What it says where that is the learner that meta-training began with."""
SUFFIX = "_untrained"


def write_untrained(
    path: Path, figures: Mapping[str, Any], names: tuple[str, ...], scores: Mapping[str, Any]
) -> None:
    """Writes what the untrained learner scored.

    Args:
        path: The file.
        figures: Its figures on the test tasks.
        names: Those to keep.
        scores: Figures of each test task, `[N]`.
    """
    kept = {name: figures[name] for name in names if name in figures}
    write_json(path, {"figures": kept, "by_task": by_task(scores)})


def beside_untrained(path: Path, scores: Mapping[str, Any], monitored: str) -> dict[str, Any]:
    """Returns what a result says of the untrained learner and of the gain over it.

    Args:
        path: What `write_untrained` wrote.
        scores: Figures of each test task of the learner that is reported, `[N]`.
        monitored: The figure to tell the gain in.

    Returns:
        The figures of the untrained learner, and the mean and half the 95 % interval of what each
        task gains. Nothing where the file is missing, or the test tasks are others.
    """
    if not path.exists():
        return {}
    content = read_json(path, "remove it")
    own, others = by_task(scores)[monitored], content["by_task"][monitored]
    if len(own) != len(others):
        return {}
    mean, half_width = gain(own, others, monitored)
    return {
        **{f"{name}{SUFFIX}": value for name, value in content["figures"].items()},
        f"{monitored}_gain": mean,
        f"{monitored}_gain_ci95": half_width,
    }


def is_untrained(result: Mapping[str, Any]) -> bool:
    """Returns whether a run that was meta-trained reports the learner that it began with.

    Args:
        result: Its result.
    """
    chose = str(result.get("reported_model", "")).endswith(BEST)
    return chose and result.get("reported_meta_step") == 0


def words(result: Mapping[str, Any], monitored: str) -> str | None:
    """Returns what is to be said where meta-training did not help, or `None` where it did.

    Args:
        result: A result.
        monitored: The figure that the learner was chosen by.
    """
    if is_untrained(result):
        return (
            f"{WORDS} on validation, and is what is reported: no evaluation in meta-training was "
            f"better by more than its tasks can tell; train for longer, or change the rates"
        )
    mean, half_width = (result.get(f"{monitored}_gain{end}") for end in ("", "_ci95"))
    if mean is None or half_width is None or mean > half_width:
        return None
    return (
        f"meta-training did not help, as far as the test tasks can tell: its gain in {monitored} "
        f"over the untrained learner is {mean:.3g} ± {half_width:.2g}"
    )
