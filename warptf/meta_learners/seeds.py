"""Seeds of the random numbers that meta-learners draw."""

from typing import Any, NamedTuple

import tensorflow as tf

# What random numbers are drawn for, folded into the seed so that streams never meet.
TRAINING, EVALUATION, SERVING, REPLAY_ORDER = 0, 1, 2, 3


def task_seed(seed: int, purpose: int, step: tf.Tensor | int, index: tf.Tensor | int) -> tf.Tensor:
    """Returns the seed of one task, a function of the arguments alone.

    Args:
        seed: the meta-learner's.
        purpose: what the random numbers are for.
        step: the meta-step, or what else tells one use from another.
        index: position of the task.
    """
    folded = tf.constant([seed & 0x7FFFFFFF, purpose], tf.int32)
    for part in (step, index):
        folded = tf.random.experimental.stateless_fold_in(folded, tf.cast(part, tf.int32))
    return folded


class TaskSeeds(NamedTuple):
    """The seeds of the tasks of a meta-batch in training.

    Attributes:
        seed: the meta-learner's.
        step: the meta-step.
        first: position of the first task, over all replicas.
    """

    seed: int
    step: Any
    first: int | tf.Tensor

    def of(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the seed of a task.

        Args:
            index: its position in this replica's part of the meta-batch.
        """
        return task_seed(self.seed, TRAINING, self.step, self.first + index)
