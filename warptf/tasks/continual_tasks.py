"""Continual tasks: parts of a task that are seen one after another and are all to be kept."""

import abc
import copy
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
import tensorflow as tf

from warptf.tasks.drawn_tasks import SPLITS, DrawnTasks
from warptf.tasks.mini_batches import checked_count
from warptf.tasks.prefetched import prefetched
from warptf.tasks.task import Task

META_LOSSES = ("seen", "current", "all")
_SUPPORT, _QUERY = 0, 1


class SubTask(NamedTuple):
    """What examples are drawn of.

    Args:
        split: "train", "validation" or "test".
        task: Two integers, the seed of all that the sub-tasks of a task have in common.
        number: Which sub-task, 0 to `T` - 1.
        held_out: Whether the examples are those that validation and test tasks are scored on.
    """

    split: str
    task: tf.Tensor
    number: int
    held_out: bool


class ContinualTasks(DrawnTasks):
    r"""Tasks made of $T$ sub-tasks, each of which is seen for $n$ steps and then no more.

    Subclasses say in `draw` what a sub-task's examples are; that is all it takes to make a
    continual learning problem of one's own. Inner step $k$ sees a mini-batch of sub-task $t = k //
    n$ alone. The meta loss after it looks at fresh examples of all sub-tasks seen so far,

    $L_{meta}^{(k)} = \sum_{i \le t} w_i L_i, \qquad w_i = \frac{1}{n (T - i)}$ for $i = 0..T-1$,

    one over the number of steps at which sub-task $i$ appears, so that over all $K = n T$ steps
    each sub-task weighs the same. The weights stand in the query as sample weights; `meta_loss`
    sets them otherwise, and so may a subclass by `meta_weights`.

    Axes: `M` tasks of a meta-batch, `K` steps, `B` examples of a mini-batch, `T` sub-tasks, `Q`
    examples of each in the query. In training `support` is `[M, K, B, ...]` and `query` `[M, K,
    T * Q, ...]` with weights `[M, K, T * Q]`; in evaluation `query` is `[M, T * Q, ...]`, sub-task
    after sub-task, without weights.

    Args:
        sub_tasks: $T$. Defaults to 5.
        steps: $n$, steps on each sub-task. Defaults to 20.
        batch_size: Examples `B` of a mini-batch. Defaults to 5.
        queries: Examples `Q` of each sub-task in the meta loss of a step. Defaults to `batch_size`.
        evaluation_queries: Examples of each sub-task that validation and test tasks are scored on.
            Defaults to 100.
        tasks_per_batch: Tasks `M` of a training meta-batch. Defaults to 5.
        evaluation_tasks: Number of validation tasks, and of test tasks. Defaults to 100.
        rehearsal: Whether the examples of a step's mini-batch are drawn of all sub-tasks seen so
            far, as if none were ever out of reach: an upper bound to compare with. Defaults to
            `False`.
        meta_loss: What the meta loss of a step looks at: the sub-tasks seen so far, `"seen"`, as
            above (default); `"current"`, the one that is being learned alone, the objective of who
            does not care for what is forgotten; or `"all"`, whether seen or not, with equal
            weights, for objectives that look at the last step only.
        order: In which order the sub-tasks are seen, a permutation of 0 to `T` - 1. Defaults to
            `None`, that order.
        seed: An integer that all draws derive from. Defaults to 0.

    Raises:
        TypeError: If a count is no integer.
        ValueError: If a count is out of range, `meta_loss` is unknown, or `order` no permutation.

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix J
        (equation 19 prints $t$ where the text, and this, has $i$ in the weight).
    """

    def __init__(
        self,
        sub_tasks: int = 5,
        steps: int = 20,
        batch_size: int = 5,
        queries: int | None = None,
        evaluation_queries: int = 100,
        tasks_per_batch: int = 5,
        evaluation_tasks: int = 100,
        rehearsal: bool = False,
        meta_loss: Literal["seen", "current", "all"] = "seen",
        order: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        self.sub_tasks = checked_count("sub_tasks", sub_tasks)
        self.steps = checked_count("steps", steps)
        self.batch_size = checked_count("batch_size", batch_size)
        self.queries = checked_count("queries", queries, batch_size)
        self.evaluation_queries = checked_count("evaluation_queries", evaluation_queries)
        self.tasks_per_batch = checked_count("tasks_per_batch", tasks_per_batch)
        self.evaluation_tasks = checked_count("evaluation_tasks", evaluation_tasks)
        self.seed = checked_count("seed", seed, least=0)
        self.rehearsal = bool(rehearsal)
        if meta_loss not in META_LOSSES:
            raise ValueError(
                f"`meta_loss` must be one of {', '.join(META_LOSSES)}, received {meta_loss!r}."
            )
        self.meta_loss = meta_loss
        self.order = self._checked(range(self.sub_tasks) if order is None else order)

    def _checked(self, order: Sequence[int]) -> tuple[int, ...]:
        if sorted(order) != list(range(self.sub_tasks)):
            raise ValueError(
                f"`order` must hold each of 0 to {self.sub_tasks - 1} once, received {order!r}."
            )
        return tuple(order)

    def in_order(self, order: Sequence[int]) -> Self:
        """Returns the same tasks with their sub-tasks seen in another order.

        Args:
            order: A permutation of 0 to `T` - 1.

        Raises:
            ValueError: If it is none.
        """
        tasks = copy.copy(self)
        tasks.order = self._checked(order)
        return tasks

    @abc.abstractmethod
    def draw(self, sub_task: SubTask, seed: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws examples of one sub-task, in the graph and by stateless random numbers alone.

        Args:
            sub_task: What to draw of.
            seed: Two integers, another seed for every draw.
            count: How many examples.

        Returns:
            `x` `[count, ...]` and `y` `[count, ...]`, of the same shapes and types for every
            sub-task.
        """

    def meta_weights(self) -> np.ndarray:
        r"""Weight $w_i$ of sub-task $i$ in the meta loss of each step, `[K, T]`.

        $i$ counts sub-tasks in the order in which they are seen.
        """
        at, number = np.arange(self.sub_tasks)[:, None], np.arange(self.sub_tasks)
        visible = {"seen": number <= at, "current": number == at, "all": number == number}
        looked_at = np.broadcast_to(visible[self.meta_loss], (self.sub_tasks, self.sub_tasks))
        appearances = self.steps * looked_at.sum(0)
        return np.repeat(looked_at / appearances, self.steps, axis=0).astype("float32")

    @property
    def inner_steps(self) -> int:
        """The number $K$ of steps on all sub-tasks."""
        return self.sub_tasks * self.steps

    def train_from(self, step: int) -> tf.data.Dataset:
        """Meta-training batches without end; batch `i` depends on the seed and `step + i` only.

        Args:
            step: The meta-step to start at.

        Returns:
            A data set of `Task`.
        """
        first = checked_count("step", step, least=0) * self.tasks_per_batch
        tasks = tf.data.Dataset.counter(first).map(self._training_task, tf.data.AUTOTUNE)
        return prefetched(tasks.batch(self.tasks_per_batch, drop_remainder=True))

    def _training_task(self, index: tf.Tensor) -> Task:
        key = self._key("train", index)
        # Keras divides the weighted sum by the number of examples, T * Q.
        weights = np.repeat(self.sub_tasks * self.meta_weights(), self.queries, axis=1)
        x, y = self._every_step("train", key, _QUERY, self.queries)
        return Task(self._support("train", key), (x, y, tf.constant(weights)))

    @property
    def _count(self) -> int:
        return self.evaluation_tasks

    def _evaluation(self, split: str) -> tf.data.Dataset:
        def task(index: tf.Tensor) -> Task:
            key = self._key(split, index)
            count = self.evaluation_queries
            x, y = self._one_after_another(split, key, _QUERY, count, held_out=True)
            return Task(self._support(split, key), (x, y), task_id=tf.cast(index, tf.int32))

        tasks = tf.data.Dataset.range(self.evaluation_tasks).map(task, tf.data.AUTOTUNE)
        size = min(self.tasks_per_batch, self.evaluation_tasks)
        exact = self.evaluation_tasks % size == 0
        return prefetched(tasks.batch(size, drop_remainder=exact))

    def _support(self, split: str, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mini-batches `[K, B, ...]`."""
        if self.rehearsal:
            return self._of_all_seen(split, key)
        count = self.steps * self.batch_size
        x, y = self._one_after_another(split, key, _SUPPORT, count)
        return self._folded(x, self.batch_size), self._folded(y, self.batch_size)

    def _of_all_seen(self, split: str, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mini-batches whose examples are of a random sub-task each, of those seen so far."""
        candidates = self._every_step(split, key, _SUPPORT, self.batch_size)
        seen = np.repeat(np.arange(1, self.sub_tasks + 1), self.steps)[:, None]
        seed = tf.random.experimental.stateless_fold_in(key, len(SPLITS))
        uniform = tf.random.stateless_uniform([self.inner_steps, self.batch_size], seed)
        which = tf.cast(uniform * seen.astype("float32"), tf.int32)
        places = which * self.batch_size + np.arange(self.batch_size, dtype="int32")
        x, y = (tf.gather(part, places, batch_dims=1) for part in candidates)
        return x, y

    def _every_step(
        self, split: str, key: tf.Tensor, purpose: int, count: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Examples of all sub-tasks for every step, `[K, T * count, ...]`."""
        total = self.inner_steps * count
        drawn = [self._draw(split, key, purpose, i, total) for i in self.order]
        x, y = (
            tf.concat([self._folded(part, count) for part in parts], 1)
            for parts in zip(*drawn, strict=True)
        )
        return x, y

    def _one_after_another(
        self, split: str, key: tf.Tensor, purpose: int, count: int, held_out: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Examples of each sub-task in the order in which they are seen, `[T * count, ...]`."""
        drawn = [self._draw(split, key, purpose, i, count, held_out) for i in self.order]
        x, y = (tf.concat(parts, 0) for parts in zip(*drawn, strict=True))
        return x, y

    def _folded(self, examples: tf.Tensor, count: int) -> tf.Tensor:
        return tf.reshape(examples, [self.inner_steps, count, *examples.shape[1:]])

    def _draw(
        self,
        split: str,
        key: tf.Tensor,
        purpose: int,
        index: int,
        count: int,
        held_out: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        seed = tf.random.experimental.stateless_split(key, 2)[1]
        for part in (purpose, index):
            seed = tf.random.experimental.stateless_fold_in(seed, part)
        return self.draw(SubTask(split, self._task_seed(key), index, held_out), seed, count)

    def _task_seed(self, key: tf.Tensor) -> tf.Tensor:
        """The seed of what the sub-tasks of a task have in common."""
        return tf.random.experimental.stateless_split(key, 2)[0]
