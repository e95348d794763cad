"""Few-shot sine regression, the fastest check of a meta-learner."""

import numpy as np
import tensorflow as tf

from warptf.tasks.drawn_tasks import DrawnTasks
from warptf.tasks.mini_batches import checked_count
from warptf.tasks.prefetched import prefetched
from warptf.tasks.task import Task


class Sine(DrawnTasks):
    r"""Sines to be learned from a few points: $y = a \sin(x - b)$.

    Amplitude $a \sim U[0.1, 5]$, phase $b \sim U[0, \pi]$, points $x \sim U[-5, 5]$. Support and
    query are `[T, shots, 1]` and `[T, queries, 1]`, float32.

    Args:
        shots: Points to learn from. Defaults to 10.
        queries: Points of the meta loss. Defaults to 10.
        evaluation_queries: Points that validation and test tasks are scored on. Defaults to 100.
        tasks_per_batch: Tasks of a meta-batch. Defaults to 25.
        evaluation_tasks: Number of validation tasks, and of test tasks. Defaults to 600.
        seed: An integer that all draws derive from. Defaults to 0.

    Raises:
        TypeError: If a count is no integer.
        ValueError: If a count is out of range.

    >>> task = next(iter(Sine(tasks_per_batch=4).train))
    >>> print(task.support[0].shape, task.query[1].shape)
    (4, 10, 1) (4, 10, 1)

    Reference:
        Finn et al., Model-Agnostic Meta-Learning, arXiv 1703.03400, section 5.1.
    """

    def __init__(
        self,
        shots: int = 10,
        queries: int = 10,
        evaluation_queries: int = 100,
        tasks_per_batch: int = 25,
        evaluation_tasks: int = 600,
        seed: int = 0,
    ) -> None:
        self.shots = checked_count("shots", shots)
        self.queries = checked_count("queries", queries)
        self.evaluation_queries = checked_count("evaluation_queries", evaluation_queries)
        self.tasks_per_batch = checked_count("tasks_per_batch", tasks_per_batch)
        self.evaluation_tasks = checked_count("evaluation_tasks", evaluation_tasks)
        self.seed = checked_count("seed", seed, least=0)

    def train_from(self, step: int) -> tf.data.Dataset:
        """Meta-training batches without end; batch `i` depends on the seed and `step + i` only.

        Args:
            step: The meta-step to start at.

        Returns:
            A data set of `Task`.
        """
        start = checked_count("step", step, least=0)

        def batch(index: tf.Tensor) -> Task:
            return self._batch("train", index, self.tasks_per_batch, self.queries)

        return prefetched(tf.data.Dataset.counter(start).map(batch, tf.data.AUTOTUNE))

    @property
    def _count(self) -> int:
        return self.evaluation_tasks

    def _evaluation(self, split: str) -> tf.data.Dataset:
        number = np.arange(self.evaluation_tasks, dtype="int32")
        task = self._batch(split, tf.constant(0), self.evaluation_tasks, self.evaluation_queries)
        return prefetched(tf.data.Dataset.from_tensors(task._replace(task_id=tf.constant(number))))

    def _batch(self, split: str, index: tf.Tensor, tasks: int, queries: int) -> Task:
        keys = tf.random.experimental.stateless_split(self._key(split, index), 3)
        amplitude = tf.random.stateless_uniform([tasks, 1, 1], keys[0], 0.1, 5.0)
        phase = tf.random.stateless_uniform([tasks, 1, 1], keys[1], 0.0, np.pi)
        x = tf.random.stateless_uniform([tasks, self.shots + queries, 1], keys[2], -5.0, 5.0)
        y = amplitude * tf.sin(x - phase)
        sizes = [self.shots, queries]
        support, query = zip(tf.split(x, sizes, 1), tf.split(y, sizes, 1), strict=True)
        return Task(support, query)
