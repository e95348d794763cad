"""Continual sine regression: a curve learned interval after interval."""

import tensorflow as tf

from warptf.tasks.continual_tasks import ContinualTasks, SubTask
from warptf.tasks.prefetched import prefetched
from warptf.tasks.task import Task

LIMIT = 5.0


class ContinualSine(ContinualTasks):
    r"""Blends of two sines, of which each sub-task shows another interval.

    $f(x) = \sigma(x + o) a_1 \sin(x - b_1) + (1 - \sigma(x + o)) a_2 \sin(x - b_2)$ with amplitudes
    $a \sim U[0.1, 5]$, phases $b \sim U[0, \pi]$ and offset $o \sim U[-5, 5]$. $[-5, 5]$ is cut
    into equal intervals from left to right, one for each sub-task; points are uniform in them.

    Args:
        **kwargs: The arguments of `ContinualTasks`. Their defaults are the paper's: 5 sub-tasks, 20
            steps on each, 5 points in a mini-batch, 5 tasks in a meta-batch.

    >>> tasks = ContinualSine()
    >>> task = next(iter(tasks.train))
    >>> print(task.support[0].shape, task.query[0].shape)
    (5, 100, 5, 1) (5, 100, 25, 1)
    >>> x = task.support[0][0, :20]   # the first sub-task: the leftmost fifth of [-5, 5]
    >>> bool(tf.reduce_all((x >= -5.0) & (x <= -3.0)))
    True

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix J.
    """

    def draw(self, sub_task: SubTask, seed: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws points `[count, 1]` of the sub-task's interval and the curve's values there."""
        width = 2.0 * LIMIT / self.sub_tasks
        low = -LIMIT + width * sub_task.number
        x = tf.random.stateless_uniform([count, 1], seed, low, low + width)
        return x, self.curve(sub_task.task, x)

    def test_curves(self, count: int, points: int = 101) -> tf.data.Dataset:
        """Returns the first test tasks with whole curves in place of their query sets.

        Args:
            count: How many of them, in one meta-batch.
            points: Evenly spaced points of [-5, 5].

        Returns:
            A data set of one `Task`, its query `[count, points, 1]`.
        """
        x = tf.linspace(-LIMIT, LIMIT, points)[:, None]

        def task(index: tf.Tensor) -> Task:
            key = self._key("test", index)
            curve = self.curve(self._task_seed(key), x)
            return Task(self._support("test", key), (x, curve), task_id=tf.cast(index, tf.int32))

        return prefetched(tf.data.Dataset.range(count).map(task).batch(count))

    def curve(self, task: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """The target function of a task.

        Args:
            task: Two integers, the seed of the task.
            x: Where to evaluate it.

        Returns:
            Its values, the shape of `x`.
        """
        u = tf.random.stateless_uniform([5], task)
        a_1, a_2 = (0.1 + 4.9 * u[i] for i in (0, 1))
        b_1, b_2 = (3.14159265 * u[i] for i in (2, 3))
        offset = 2.0 * LIMIT * u[4] - LIMIT
        blend = tf.sigmoid(x + offset)
        return blend * a_1 * tf.sin(x - b_1) + (1.0 - blend) * a_2 * tf.sin(x - b_2)
