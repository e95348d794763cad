"""The factor that a learner's losses are multiplied by, and how it follows overflows."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

_FIRST = 2.0**15
_LARGEST = 2.0**24
_STEPS_TO_GROW = 2000
# A scored task cannot be learned again with a smaller factor: three halvings of a margin.
_SCORING_MARGIN = 8.0


class LossScales:
    """A factor that is halved by a step whose gradients overflow, and doubled after 2000 without.

    It begins at 2^15 and stays between 1 and 2^24.

    Args:
        make_variable: `make_variable(name, shape, dtype, initial)` returns a variable that has one
            value on all replicas and is saved with the learner.
    """

    def __init__(self, make_variable: Callable[[str, Any, str, float], keras.Variable]) -> None:
        self._scale = make_variable("loss_scale", (), "float32", _FIRST)
        self._finite_steps = make_variable("finite_steps", (), "int32", 0.0)

    @property
    def training(self) -> tf.Tensor:
        """The factor of losses that are learned from."""
        return tf.convert_to_tensor(self._scale.value)

    @property
    def scoring(self) -> tf.Tensor:
        """The factor of losses by which a task is learned for good."""
        return tf.maximum(self.training / _SCORING_MARGIN, 1.0)

    def follow(self, finite: tf.Tensor, due: Any = True) -> None:
        """Adjusts the factor, in replica context.

        Args:
            finite: whether a step's gradients were finite, on all replicas.
            due: whether there was a step at all.
        """
        due = tf.convert_to_tensor(due)
        scale, steps = self.training, tf.convert_to_tensor(self._finite_steps.value)
        grows = tf.equal(steps + 1, _STEPS_TO_GROW)
        above = tf.where(grows, tf.minimum(2.0 * scale, _LARGEST), scale)
        following = tf.where(finite, above, tf.maximum(0.5 * scale, 1.0))
        counted = tf.where(tf.logical_or(grows, tf.logical_not(finite)), 0, steps + 1)
        self._scale.assign(tf.where(due, following, scale))
        self._finite_steps.assign(tf.where(due, counted, steps))


def all_finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns whether tensors hold neither NaN nor infinity."""
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])
