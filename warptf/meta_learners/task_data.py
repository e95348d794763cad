"""The data sets of tasks that a meta-learner is given, before it learns from them."""

from typing import Any

import keras
import tensorflow as tf

from warptf.compiled_loss import CompiledLoss
from warptf.meta_learners.task_axes import as_task, inputs_of, leading_axes, parts_of
from warptf.meta_learners.task_checks import check_task, problem_in
from warptf.meta_learners.task_metrics import TaskMetrics
from warptf.meta_learners.tensor_kinds import check_inputs
from warptf.partition import output_spec
from warptf.tasks.task import Task
from warptf.value_checks import first_of


class TaskData:
    """Checks tasks, and makes losses and metrics for their targets.

    Args:
        model: the model that is to learn them.
        model_input: its `input_spec`.
        loss: the task loss.
        meta_loss: the loss of the query sets.
        metrics: the metrics.
    """

    def __init__(
        self,
        model: keras.Model,
        model_input: Any,
        loss: CompiledLoss,
        meta_loss: CompiledLoss,
        metrics: TaskMetrics,
    ) -> None:
        self._model = model
        self._model_input = model_input
        self._loss = loss
        self._meta_loss = meta_loss
        self._metrics = metrics

    def first(self, data: Any, steps: int, where: str, query_steps: bool) -> Task:
        """Returns the first meta-batch, its axes checked.

        Args:
            data: the data set.
            steps: inner steps that will be taken.
            where: what the data are for, for messages.
            query_steps: whether query sets may have a step axis.

        Raises:
            TypeError: it is no data set of tasks.
            ValueError: it is empty, or does not fit the model.
        """
        if not isinstance(data, tf.data.Dataset):
            raise TypeError(
                f"the {where} data must be a tf.data.Dataset of warptf.tasks.Task, got "
                f"{type(data).__name__}: use tf.data.Dataset.from_tensors(task) for one meta-batch."
            )
        spec = as_task(data.element_spec)
        check_task(spec, self._model_input, steps, where, query_steps)
        for name, part in parts_of(spec).items():
            inputs = inputs_of(part[0], self._model_input)
            check_inputs(f"{name} of the {where} tasks", inputs, self._model)
        for first in data.take(1):
            task = as_task(first)
            check_task(task, self._model_input, steps, where, query_steps)
            return task
        raise ValueError(f"the {where} data set is empty: it must yield at least one meta-batch.")

    def problem_in(self, task: Task, where: str) -> tf.Tensor:
        """Returns what is wrong with the numbers of a meta-batch, in words, or an empty string.

        Args:
            task: the meta-batch.
            where: what it is for.
        """
        problems = []
        for name, part in parts_of(task).items():
            loss = self._loss if "support" in name or "inner" in name else self._meta_loss
            problems.append(problem_in(part, f"{where} tasks' {name}", self._model_input, loss))
        return first_of(problems)

    def resolve(self, support: Any, query: Any) -> Any:
        """Makes losses and metrics for the targets of tasks, and returns the kind of these.

        Args:
            support: support sets.
            query: query sets.
        """
        outputs = output_spec(self._model)
        for part, loss in ((support, self._loss), (query, self._meta_loss)):
            axes = leading_axes(part[0], self._model_input)
            kinds = tf.nest.map_structure(
                lambda t, axes=axes: tf.TensorSpec((None, *t.shape[axes:]), t.dtype), part[1:]
            )
            loss.resolve(kinds[0], outputs, *kinds[1:])
        self._metrics.resolve(kinds[0], outputs, *kinds[1:])
        return kinds[0]
