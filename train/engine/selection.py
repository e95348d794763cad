"""Which learner is the best on validation, as far as the validation tasks can tell."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .figures import FIGURES
from .result import confidence_interval

BY_TASK = "by_task"
"""The field of an evaluation that holds figures of each validation task, in the same order."""
_DIGITS = 6


def by_task(figures: Mapping[str, Any]) -> dict[str, list[float]]:
    """Returns the figures of each task as an evaluation holds them.

    Args:
        figures: `[N]` for each name.
    """
    return {
        name: np.asarray(values, "float64").round(_DIGITS).tolist()
        for name, values in figures.items()
    }


def chosen(rows: Iterable[Mapping[str, Any]], monitored: str) -> Mapping[str, Any] | None:
    """Returns the evaluation whose learner is to be reported, or `None` if there is none.

    A later learner takes the place of the chosen one if it is better in the monitored figure, by
    more than the interval of the paired differences over tasks; or if that cannot be told, but it
    is better by as much in another figure, the loss beside the accuracy; or if neither can be told,
    but its mean of the monitored figure is better. In no case may it be worse, by more than the
    interval, than the evaluation with the best mean so far.

    Args:
        rows: Evaluations in order, each with its mean of the monitored figure, and under `BY_TASK`
            what each task gave; without that the means alone decide.
        monitored: A name in `FIGURES`.

    >>> first = {"accuracy": 0.4, "by_task": {"accuracy": [0.2, 0.6], "loss": [2.5, 2.4]}}
    >>> later = {"accuracy": 0.3, "by_task": {"accuracy": [0.4, 0.2], "loss": [1.7, 1.6]}}
    >>> chosen([first, later], "accuracy") is later
    True
    """
    incumbent: Mapping[str, Any] | None = None
    leader: Mapping[str, Any] | None = None
    for row in rows:
        if incumbent is None or leader is None:
            incumbent = leader = row
            continue
        if _replaces(row, incumbent, leader, monitored):
            incumbent = row
        if _mean(row, monitored) > _mean(leader, monitored):
            leader = row
    return incumbent


def gain(values: Sequence[float], others: Sequence[float], name: str) -> tuple[float, float]:
    """Returns by how much a figure is better than another, and half its 95 % interval.

    The interval is that of the mean of the paired differences, by Student's t.

    Args:
        values: The figure of each task, `[N]`.
        others: The other of the same tasks.
        name: A name in `FIGURES`.

    >>> gain([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], "loss")
    (1.0, 0.0)
    """
    differences = np.asarray(values, "float64") - np.asarray(others, "float64")
    if FIGURES[name].direction == "min":
        differences = -differences
    return float(differences.mean()), confidence_interval(differences)


def validation_figures(rows: Sequence[Mapping[str, Any]], monitored: str) -> dict[str, Any]:
    """Returns what a result says of the choice: the monitored figure, chosen and untrained.

    Args:
        rows: The evaluations of a run, in order.
        monitored: The figure that it was chosen by.

    Returns:
        Both means, and the mean and half the 95 % interval of what each task gains.
    """
    best = chosen(rows, monitored)
    if best is None or rows[0]["step"] != 0:
        return {}
    name = f"validation_{monitored}"
    figures = {name: best[monitored], f"{name}_untrained": rows[0][monitored]}
    values, others = (_values(row, monitored) for row in (best, rows[0]))
    if len(values) == len(others) > 0:
        figures[f"{name}_gain"], figures[f"{name}_gain_ci95"] = gain(values, others, monitored)
    return figures


def _replaces(
    row: Mapping[str, Any],
    incumbent: Mapping[str, Any],
    leader: Mapping[str, Any],
    monitored: str,
) -> bool:
    if not math.isfinite(_mean(row, monitored)) or _told(row, leader, monitored) < 0:
        return False
    others = sorted(set(row.get(BY_TASK, ())) - {monitored})
    for name in (monitored, *others):
        told = _told(row, incumbent, name)
        if told:
            return told > 0
    return _mean(row, monitored) > _mean(incumbent, monitored)


def _told(row: Mapping[str, Any], other: Mapping[str, Any], name: str) -> int:
    """Returns whether a figure is better (1) or worse (-1), or whether that cannot be told (0)."""
    values, others = _values(row, name), _values(other, name)
    if len(values) != len(others) or len(values) < 2:
        return 0
    mean, half_width = gain(values, others, name)
    return int(np.sign(mean)) if abs(mean) > half_width else 0


def _values(row: Mapping[str, Any], name: str) -> Sequence[float]:
    """Returns the figure of each task; nothing where it is not known of all."""
    values = row.get(BY_TASK, {}).get(name) or ()
    return () if any(value is None or not math.isfinite(value) for value in values) else values


def _mean(row: Mapping[str, Any], monitored: str) -> float:
    """Returns the monitored figure, the more the better; the worst for what is not finite."""
    value = row.get(monitored)
    if value is None or not math.isfinite(value):
        return -math.inf
    return FIGURES[monitored].signed(value)
