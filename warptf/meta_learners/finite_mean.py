"""The mean of what did not overflow."""

from typing import Any

import keras
import tensorflow as tf


class FiniteMean(keras.metrics.Mean):
    """The weighted mean of finite values; NaN where there was none.

    Args:
        name: name of the metric.
    """

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values.

        Args:
            values: a tensor.
            sample_weight: their weights, of the same shape; ones if `None`.
        """
        values = tf.cast(values, tf.float32)
        finite = tf.math.is_finite(values)
        weight = tf.cast(finite, tf.float32)
        if sample_weight is not None:
            weight *= tf.cast(sample_weight, tf.float32)
        super().update_state(tf.where(finite, values, tf.zeros_like(values)), weight)

    def result(self) -> tf.Tensor:
        """Returns the mean."""
        seen = tf.convert_to_tensor(self.count.value) > 0
        return tf.where(seen, super().result(), float("nan"))
