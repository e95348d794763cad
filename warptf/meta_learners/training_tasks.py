"""The tasks of a meta-batch as training adapts to them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation import InnerProblem, Observer, Parameters, Step, TaskAdaptation, plain
from warptf.meta_learners.seeds import TaskSeeds
from warptf.meta_learners.task_axes import batches_of, whole_support
from warptf.tasks.task import Task


class TrainingTasks(NamedTuple):
    r"""What is the same for all tasks of a meta-batch.

    Attributes:
        problem: the inner problem.
        parameters: what the tasks share.
        steps: $K$.
        model_input: `input_spec` of the model.
        seeds: the seeds of the tasks.
    """

    problem: InnerProblem
    parameters: Parameters
    steps: int
    model_input: Any
    seeds: TaskSeeds

    def adaptation(
        self,
        task: Task,
        index: tf.Tensor,
        step: Step = plain,
        observers: Sequence[Observer] = (),
    ) -> TaskAdaptation:
        """Returns the adaptation to a task.

        Args:
            task: the task, without the task axis.
            index: its position in the meta-batch.
            step: what takes its steps.
            observers: who watches them.
        """
        return TaskAdaptation(
            self.problem,
            self.parameters,
            self.seeds.of(index),
            whole_support(task, self.model_input),
            batches_of(task, self.model_input),
            self.steps,
            step,
            observers,
        )
