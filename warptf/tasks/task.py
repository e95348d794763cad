"""The one structure that every task distribution yields and every learner reads."""

from typing import Any, NamedTuple

Batch = tuple[Any, Any] | tuple[Any, Any, Any]
"""Inputs and targets, and weights of the examples where they differ."""

PARTS = ("support", "query", "replay", "task_id")


class _Stored(NamedTuple):
    support: Batch
    query: Batch
    stored_replay: Any
    stored_task_id: Any


class Task(_Stored):
    """A meta-batch of tasks, the task axis first.

    Axes: `T` tasks, `K` adaptation steps, `B` examples of a mini-batch, `Q` held-out examples.

    A named tuple. In the place of what is `None` it stores an empty tuple, in which TensorFlow sees
    no tensor: a `Task` of `tf.TensorSpec`s is an `output_signature` of `from_generator`, and data
    sets of tasks can be mapped, batched and padded like others.

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

    __slots__ = ()

    def __new__(cls, support: Batch, query: Batch, replay: Any = None, task_id: Any = None) -> Any:
        """Keeps what is `None` as an empty tuple."""
        rest = (() if part is None else part for part in (replay, task_id))
        return super().__new__(cls, support, query, *rest)

    @property
    def replay(self) -> tuple[Batch, Batch] | None:
        """`None`, or mini-batches for the steps that the offline algorithm replays."""
        return _present(self.stored_replay)

    @property
    def task_id(self) -> Any:
        """`None`, or the tasks' numbers `[T]`."""
        return _present(self.stored_task_id)

    def _asdict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARTS}

    def _replace(self, **changes: Any) -> Any:
        return type(self)(**{**self._asdict(), **changes})


def _present(part: Any) -> Any:
    return None if isinstance(part, tuple) and not part else part
