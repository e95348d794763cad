"""What the algorithms with an inner loop share, a part of every one of them."""

import tensorflow as tf

from warptf.adaptation import Tensors
from warptf.meta_learners.adapting_learner import AdaptingLearner
from warptf.meta_learners.cross_replica_steps import replica_id
from warptf.meta_learners.seeds import TaskSeeds
from warptf.meta_learners.task_axes import task_count
from warptf.meta_learners.training_tasks import TrainingTasks
from warptf.tasks.task import Task


class TaskTraining:
    """What a `MetaLearner` does in a meta-step, whatever its algorithm."""

    def _training_tasks(self: AdaptingLearner, first: int | tf.Tensor) -> TrainingTasks:
        """Returns what the tasks of a meta-batch share.

        Args:
            first: position of the first task, over all replicas.
        """
        seeds = TaskSeeds(self.seed, self.meta_step.value, first)
        return TrainingTasks(
            self._problem, self._problem.parameters(), self.inner_steps, self._model_input, seeds
        )

    def _first_of_replica(self: AdaptingLearner, task: Task) -> int | tf.Tensor:
        """Returns the position of this replica's first task, in replica context."""
        return replica_id() * task_count(task)

    def _move(self: AdaptingLearner, gradients: dict[str, Tensors]) -> None:
        r"""Moves groups along mean gradients, $\theta_0$ along $\lambda$ times its own."""
        adjusted = {
            "theta_0": lambda g: [self.initialization_weight * part for part in g],
            "hyper": self.inner_optimizer.clip,
        }
        self._outer.apply({n: adjusted.get(n, list)(g) for n, g in gradients.items()})

    def _end_meta_step(self: AdaptingLearner, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Counts the meta-step and returns the means so far."""
        with tf.control_dependencies(list(values.values())):
            self.meta_step.assign_add(1)
        return self._track(values)
