"""From the scores of the held-out tasks to the figures of a result."""

from typing import Any

import numpy as np


def area_under_curve(curves: np.ndarray) -> np.ndarray:
    """Returns the area under learning curves, in [0, 1] for accuracies.

    The trapezoid rule over the K steps, divided by K - 1.

    Args:
        curves: `[N, K]`, a training score at each adaptation step of `N` tasks.

    Returns:
        `[N]`.

    >>> area_under_curve(np.array([[0.0, 0.5, 1.0]]))
    array([0.5])
    """
    return np.trapezoid(curves, axis=1) / (curves.shape[1] - 1)


def confidence_interval(scores: np.ndarray) -> float:
    """Returns half the width of the 95 % interval of a mean, by Student's t over tasks.

    Args:
        scores: `[N]`, one score for each task.

    Returns:
        The half-width; 0 for a single task, of which nothing is known.

    >>> round(confidence_interval(np.array([0.0, 1.0])), 3)
    6.353
    """
    count = len(scores)
    if count < 2:
        return 0.0
    # Not at the top: what runs have reported is read without it.
    from scipy import special

    quantile = special.stdtrit(count - 1, 0.975)
    return float(quantile * scores.std(ddof=1) / np.sqrt(count))


def classification_figures(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the figures of held-out classification tasks.

    Args:
        scores: What `evaluate_tasks` returned for them, `[N]`.
    """
    accuracy = np.asarray(scores["accuracy"], "float64")
    return {
        "accuracy": float(accuracy.mean()),
        "accuracy_std": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else 0.0,
        "accuracy_ci95": confidence_interval(accuracy),
        "macro_f1": float(np.mean(scores["macro_f1"], dtype="float64")),
        "test_tasks": len(accuracy),
    }
