"""Metrics that Keras does not offer in the form that a learner's `compile` takes."""

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="warptf")
class MacroF1(keras.metrics.Metric):
    r"""The F1 score of each class, averaged with the same weight for every class.

    $F_1 = 2 \, TP / (2 \, TP + FP + FN)$ of a class; zero for a class that neither occurs nor is
    ever predicted. The prediction is the class with the largest output, so that logits and
    probabilities serve alike; of equal ones the first counts.

    Args:
        num_classes: Number of classes, the length of the last axis of the outputs.
        present_only: Whether classes that neither occur nor are predicted are left out of the
            average, instead of counting as 0. Defaults to `False`.
        name: Name of the metric.
        dtype: Type of its state.

    Call arguments:
        y_true: Integer labels, `[B]` or `[B, 1]`.
        y_pred: Logits or probabilities, `[B, num_classes]`.
        sample_weight: `None`, or a weight for each example, `[B]`.

    Raises:
        ValueError: If `num_classes` is not an integer of at least 2, or `y_pred` has another
            length.

    >>> metric = MacroF1(num_classes=2)
    >>> metric.update_state([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    >>> round(float(metric.result()), 4)
    0.6667
    """

    def __init__(
        self,
        num_classes: int,
        present_only: bool = False,
        name: str = "macro_f1",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(
                f"`num_classes` must be an integer of at least 2, received {num_classes!r}."
            )
        self.num_classes = num_classes
        self.present_only = bool(present_only)
        self._f1 = keras.metrics.F1Score(average=None, dtype=dtype)
        # It makes its variables at the first update, which may come inside of a traced loop.
        self._f1.update_state(*[ops.zeros([1, num_classes])] * 2)
        self._f1.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one more batch."""
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.shape[-1] != self.num_classes:
            raise ValueError(
                f"`y_pred` must have `num_classes` ({self.num_classes}) as its last axis, received "
                f"shape {tuple(y_pred.shape)}; pass the learner's number of classes."
            )
        labels = ops.reshape(ops.cast(y_true, "int32"), [-1])
        one_hot = (ops.one_hot(c, self.num_classes) for c in (labels, ops.argmax(y_pred, axis=-1)))
        self._f1.update_state(*one_hot, sample_weight=sample_weight)

    def result(self) -> Any:
        """The average over classes, a scalar in [0, 1]."""
        each = self._f1.result()
        if not self.present_only:
            return ops.mean(each)
        counts = (self._f1.true_positives, self._f1.false_positives, self._f1.false_negatives)
        seen = ops.cast(sum(counts) > 0, each.dtype)
        return ops.sum(each * seen) / ops.maximum(ops.sum(seen), 1.0)

    def reset_state(self) -> None:
        """Forget all batches."""
        self._f1.reset_state()

    def get_config(self) -> dict[str, Any]:
        """What it takes to make this metric anew."""
        own = {"num_classes": self.num_classes, "present_only": self.present_only}
        return {**super().get_config(), **own}


def forgetting(losses: Any) -> np.ndarray:
    r"""How much of what was learned of a sub-task is lost again.

    $(L_K - L_{best}) / (L_0 - L_{best})$: 0 where the loss ends at its best, 1 where all is lost.
    It means nothing without `plasticity`, for who learns nothing forgets nothing.

    Args:
        losses: `[..., K + 1]`, the loss before adaptation and after each step; best a mean over
            many tasks, since the fraction is undefined where nothing was learned.

    Returns:
        `[...]`; NaN where the loss was never below the first one.

    >>> forgetting([4.0, 1.0, 2.5]).item()
    0.5
    """
    first, best, last = _first_best_last(losses)
    learned = first - best
    lost = np.divide(last - best, learned, out=np.full(best.shape, np.nan), where=learned > 0)
    return lost


def plasticity(losses: Any) -> np.ndarray:
    r"""How much of a sub-task's loss is learned away at best, $(L_0 - L_{best}) / L_0$.

    Args:
        losses: `[..., K + 1]`, the positive loss before adaptation and after each step.

    Returns:
        `[...]`, in [0, 1].

    >>> plasticity([4.0, 1.0, 2.5]).item()
    0.75
    """
    first, best, _ = _first_best_last(losses)
    return (first - best) / first


def _first_best_last(losses: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.asarray(losses, "float64")
    return np.asarray(values[..., 0]), np.asarray(values.min(-1)), np.asarray(values[..., -1])
