"""Means over the replicas of a strategy."""

from collections.abc import Sequence

import tensorflow as tf


def all_reduce_mean(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the means of values over replicas, in replica context.

    Args:
        values: those of this replica.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1 or not values:
        return list(values)
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(values))
