"""Two-dimensional loss surfaces, each a task: descend from some starting points."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from warptf.tasks.drawn_tasks import DrawnTasks
from warptf.tasks.mini_batches import checked_count
from warptf.tasks.prefetched import prefetched
from warptf.tasks.task import Task

START = 3.0
_KINDS = (10, *[3] * 3, *[11] * 3)
# Walks through all surfaces in an order that has nothing to do with their parameters.
_STRIDE = 7919


class _Range(NamedTuple):
    low: float
    high: float


_SHARES = {"train": _Range(0.0, 0.8), "validation": _Range(0.8, 0.9), "test": _Range(0.9, 1.0)}


class Surfaces(DrawnTasks):
    r"""Random surfaces of a family, to be descended from random starting points.

    A surface has parameters $s \in \{1..10\}$, $a_i \in \{-1, 0, 1\}$ and $b_i \in \{-5..5\}$, all
    uniform, of `warptf.losses.SurfaceValue`. Of the 359,370 surfaces a tenth is kept for validation
    and another for test; none of them is met in training. A task is one surface with one start
    $\theta_0 \sim U(-3, 3)^2$; a meta-batch has `starts` of them on each of its surfaces.

    Axes: `M` starts, those of one surface after another. `x` holds the start `[M, 1, 2]` and `y`
    the parameters $(s, a_1, a_2, a_3, b_1, b_2, b_3)$ `[M, 1, 7]`, in the support and in the query.

    Args:
        starts: Starting points on each surface. Defaults to 10.
        evaluation_surfaces: Number of validation surfaces, and of test surfaces. Defaults to 200.
        seed: An integer that all draws derive from. Defaults to 0.
        surfaces_per_batch: Surfaces of a training meta-batch. Defaults to 1.

    Raises:
        TypeError: If a count is no integer.
        ValueError: If a count is out of range.

    >>> task = next(iter(Surfaces().train))
    >>> print(task.support[0].shape, task.support[1].shape)
    (10, 1, 2) (10, 1, 7)

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix D.
    """

    def __init__(
        self,
        starts: int = 10,
        evaluation_surfaces: int = 200,
        seed: int = 0,
        surfaces_per_batch: int = 1,
    ) -> None:
        self.starts = checked_count("starts", starts)
        self.evaluation_surfaces = checked_count("evaluation_surfaces", evaluation_surfaces)
        self.seed = checked_count("seed", seed, least=0)
        self.surfaces_per_batch = checked_count("surfaces_per_batch", surfaces_per_batch)

    def train_from(self, step: int) -> tf.data.Dataset:
        """Meta-training batches without end; batch `i` depends on the seed and `step + i` only.

        Args:
            step: The meta-step to start at.

        Returns:
            A data set of `Task`.
        """
        count = self.surfaces_per_batch
        first = checked_count("step", step, least=0) * count
        surfaces = tf.data.Dataset.counter(first).map(
            lambda index: self._task("train", index), tf.data.AUTOTUNE
        )
        return prefetched(surfaces.batch(count, drop_remainder=True).map(_joined))

    @property
    def _count(self) -> int:
        return self.evaluation_surfaces * self.starts

    def _evaluation(self, split: str) -> tf.data.Dataset:
        def task(index: tf.Tensor) -> Task:
            first = tf.cast(index, tf.int32) * self.starts
            return self._task(split, index)._replace(task_id=first + tf.range(self.starts))

        return prefetched(
            tf.data.Dataset.range(self.evaluation_surfaces).map(task, tf.data.AUTOTUNE)
        )

    def _task(self, split: str, index: tf.Tensor) -> Task:
        keys = tf.random.experimental.stateless_split(self._key(split, index), 2)
        x = tf.random.stateless_uniform([self.starts, 1, 2], keys[0], -START, START)
        y = tf.tile(self._parameters(split, keys[1])[None, None], [self.starts, 1, 1])
        return Task((x, y), (x, y))

    def _parameters(self, split: str, key: tf.Tensor) -> tf.Tensor:
        """Draws one surface of a split, `[7]`."""
        kinds = int(np.prod(_KINDS))
        low, high = (int(share * kinds) for share in _SHARES[split])
        place = tf.random.stateless_uniform([], key, low, high, tf.int64)
        digits: list[Any] = []
        rest = place * _STRIDE % kinds
        for count in _KINDS:
            digits.append(rest % count)
            rest //= count
        s, a, b = digits[0] + 1, [d - 1 for d in digits[1:4]], [d - 5 for d in digits[4:]]
        return tf.cast(tf.stack([s, *a, *b]), tf.float32)


def _joined(surfaces: Task) -> Task:
    """Returns the starts of several surfaces along one axis."""
    parts = (surfaces.support, surfaces.query)
    return Task(*tf.nest.map_structure(lambda t: tf.reshape(t, [-1, *t.shape[2:]]), parts))
