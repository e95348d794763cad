"""What the offline algorithm collects from one task."""

from typing import Any

import tensorflow as tf

from warptf.adaptation import Adapted, InnerStep, Start
from warptf.initializations.initialization import Initialization
from warptf.meta_learners.replay_buffer import ReplayBuffer
from warptf.meta_learners.task_metrics import TaskMetrics
from warptf.meta_learners.training_tasks import TrainingTasks
from warptf.tasks.task import Task


class ReplayWriter:
    r"""Observes an inner loop and stores its steps.

    Args:
        buffer: where they are stored.
        index: the task's position in the meta-batch.
        before: whether to store $\theta_k$ of a step; else $\theta_{k+1}$.
    """

    def __init__(self, buffer: ReplayBuffer, index: tf.Tensor, before: bool) -> None:
        self._buffer = buffer
        self._index = index
        self._before = before

    def begin(self, start: Start) -> Any:
        """Returns the task's empty store."""
        return self._buffer.begin()

    def observe(self, k: tf.Tensor, step: InnerStep, carry: Any) -> Any:
        """Stores a step."""
        kept = step.before if self._before else step.after
        return self._buffer.write(carry, self._index, k, kept)

    def end(self, adapted: Adapted, carry: Any) -> list[tf.Tensor]:
        """Returns the task's entries."""
        return self._buffer.finish(carry)


class OfflineTask:
    r"""Adapts to one task of a meta-batch with $\phi$ frozen, and stores the steps.

    Args:
        tasks: what the tasks of the meta-batch share.
        initialization: what $\theta_0$ minimises.
        metrics: what is reported beside the loss.
        buffer: where the steps are stored.
        before: whether $\theta_k$ of a step is stored; else $\theta_{k+1}$.
    """

    def __init__(
        self,
        tasks: TrainingTasks,
        initialization: Initialization,
        metrics: TaskMetrics,
        buffer: ReplayBuffer,
        before: bool,
    ) -> None:
        self._tasks = tasks
        self._initialization = initialization
        self._metrics = metrics
        self._buffer = buffer
        self._before = before

    def __call__(self, task: Task, index: tf.Tensor) -> dict[str, Any]:
        r"""Returns one task's entries, the gradient for $\theta_0$ and metrics.

        Args:
            task: the task, without the task axis.
            index: its position in the meta-batch.
        """
        writer = ReplayWriter(self._buffer, index, self._before)
        adaptation = self._tasks.adaptation(task, index, observers=[writer])
        gradient, adapted = self._initialization.learn(adaptation)
        (entries,) = adapted.observed
        if gradient is None:
            gradient = [tf.zeros_like(t) for t in self._tasks.parameters.theta]
        metrics = self._metrics(adapted.final_loss(), *adapted.last.meta[1:])
        return {"entries": entries, "theta_0": list(gradient), **metrics}
