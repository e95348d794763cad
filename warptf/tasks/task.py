"""The one structure that every task distribution yields and every learner reads."""

from typing import Any, NamedTuple

Batch = tuple[Any, Any] | tuple[Any, Any, Any]
"""Inputs and targets, and weights of the examples where they differ."""


class Task(NamedTuple):
    """A meta-batch of tasks, the task axis first.

    Axes: `T` tasks, `K` adaptation steps, `B` examples of a mini-batch, `Q` held-out examples.

    Args:
        support: `(x, y)` that the inner loop adapts on. Either `x: [T, K, B, ...]`, one mini-batch
            for each inner step, or `x: [T, B, ...]`, the same set at every step.
        query: `(x, y)` that the meta loss sees in training, with a step axis (`[T, K, B, ...]`) or
            without (`[T, B, ...]`); in evaluation the held-out data, `[T, Q, ...]`.
        replay: `None`, or for the offline algorithm `((x, y), (x, y))`: for each stored step the
            mini-batch of the inner step and that of the meta loss, both `[T, K, B, ...]`.
            Each of these batches may be `(x, y, sample_weight)`, a number for each example, as for
            Keras' `fit`: the loss is then the sum of weighted losses over the number of examples.
        task_id: `None`, or an integer tensor `[T]` that tells the tasks apart.

    >>> import numpy as np
    >>> x, y = np.zeros([2, 5, 3, 4], "float32"), np.zeros([2, 5, 3], "int32")
    >>> task = Task(support=(x, y), query=(x[:, 0], y[:, 0]))
    >>> task.support[0].shape, task.query[0].shape, task.replay
    ((2, 5, 3, 4), (2, 3, 4), None)
    """

    support: Batch
    query: Batch
    replay: tuple[Batch, Batch] | None = None
    task_id: Any = None
