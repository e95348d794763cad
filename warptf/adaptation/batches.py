"""The mini-batches of a task, one for each inner step."""

from typing import Any, NamedTuple, Protocol

import tensorflow as tf

Batch = tuple[Any, Any] | tuple[Any, Any, Any]


class Batches(Protocol):
    """The mini-batches of one task by the number of the inner step."""

    def task(self, k: tf.Tensor) -> Batch:
        r"""Returns the mini-batch of $L_{task}$ at step `k`."""

    def meta(self, k: tf.Tensor) -> Batch:
        r"""Returns the mini-batch of $L_{meta}$ at step `k`."""


class StepBatch(NamedTuple):
    r"""The mini-batches of one inner step; that of $L_{meta}$ is taken where it is asked for.

    Attributes:
        task: the mini-batch of $L_{task}$, `(x, y)` or `(x, y, sample_weight)`.
        batches: those of all steps.
        k: the number of the step.
    """

    task: Batch
    batches: Batches
    k: tf.Tensor

    @property
    def meta(self) -> Batch:
        r"""The mini-batch of $L_{meta}$."""
        return self.batches.meta(self.k)


def batch_at(batches: Batches, k: tf.Tensor) -> StepBatch:
    """Returns the mini-batches of a step.

    Args:
        batches: those of all steps.
        k: the number of the step.
    """
    return StepBatch(batches.task(k), batches, k)


class TaskBatches(NamedTuple):
    r"""The batches that a support and a query set hold.

    Attributes:
        support: what $L_{task}$ is taken on, `[K, B, ...]` or `[B, ...]`.
        query: what $L_{meta}$ is taken on, alike; `None` where there is no meta loss.
        support_has_steps: whether `support` has the step axis `K`; else it serves every step.
        query_has_steps: likewise for `query`.
    """

    support: Any
    query: Any = None
    support_has_steps: bool = False
    query_has_steps: bool = False

    def task(self, k: tf.Tensor) -> Batch:
        r"""Returns the mini-batch of $L_{task}$ at step `k`."""
        return take_step(self.support, k, self.support_has_steps)

    def meta(self, k: tf.Tensor) -> Batch:
        r"""Returns the mini-batch of $L_{meta}$ at step `k`."""
        return take_step(self.query, k, self.query_has_steps)


class DrawnBatches(NamedTuple):
    """Mini-batches drawn from a support set, with replacement.

    Attributes:
        support: the set, `[N, ...]`.
        size: examples in a batch.
        seed: two integers that the draws derive from.
    """

    support: Any
    size: int
    seed: tf.Tensor

    def task(self, k: tf.Tensor) -> Batch:
        """Returns what is drawn at step `k`."""
        drawn = tf.random.stateless_uniform(
            [self.size],
            tf.random.experimental.stateless_fold_in(self.seed, k),
            maxval=tf.shape(tf.nest.flatten(self.support[0])[0])[0],
            dtype=tf.int32,
        )
        return tf.nest.map_structure(lambda t: tf.gather(t, drawn), self.support)

    def meta(self, k: tf.Tensor) -> Batch:
        """Refuses: a support set alone has no meta loss."""
        raise ValueError("a support set alone holds no batch for the meta loss.")


def take_step(batches: Any, k: tf.Tensor, has_step_axis: bool) -> Any:
    """Returns the batch of step `k`, or the whole set where it serves every step.

    Args:
        batches: a part of a task, `[K, B, ...]` or `[B, ...]`.
        k: the number of the step.
        has_step_axis: whether there is the axis `K`.
    """
    if not has_step_axis:
        return batches
    return tf.nest.map_structure(lambda t: tf.gather(t, k), batches)


def whole_set(batches: Any, has_step_axis: bool) -> Any:
    """Returns all examples of a part of a task, `[N, ...]`, of all its steps.

    Args:
        batches: the part, `[B, ...]`, or `[K, B, ...]` where it has a step axis.
        has_step_axis: whether it has.
    """
    if not has_step_axis:
        return batches
    return tf.nest.map_structure(lambda t: tf.reshape(t, [-1, *t.shape[2:]]), batches)
