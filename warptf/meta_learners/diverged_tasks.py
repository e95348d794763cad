"""Tasks whose adaptation diverged, left out of a meta-step."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def leave_out_diverged(
    per_task: dict[str, Any], gradients: Sequence[str]
) -> tuple[dict[str, Any], tf.Tensor]:
    """Sets to zero what came of tasks whose loss or gradients are not finite.

    Args:
        per_task: values of `T` tasks, each a tensor `[T, ...]` or a list of such.
        gradients: names of those that decide, beside `"loss"`.

    Returns:
        The values, and which tasks are kept, `[T]`.
    """
    deciding = [*tf.nest.flatten([per_task[name] for name in gradients]), per_task["loss"]]
    kept = tf.reduce_all([_finite(value) for value in deciding], axis=0)

    def zeroed(value: tf.Tensor) -> tf.Tensor:
        mask = tf.reshape(kept, [-1, *[1] * (value.shape.rank - 1)])
        return tf.where(mask, value, tf.zeros_like(value))

    return tf.nest.map_structure(zeroed, per_task), kept


def _finite(value: tf.Tensor) -> tf.Tensor:
    """Returns for which tasks all of a value `[T, ...]` is finite."""
    return tf.reduce_all(tf.math.is_finite(value), axis=list(range(1, value.shape.rank)))
