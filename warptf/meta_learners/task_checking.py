"""Checks of the tasks that a meta-learner is given, a part of every one with an inner loop."""

from typing import Any

import tensorflow as tf

from warptf.meta_learners.adapting_learner import AdaptingLearner
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.checked_data import checked
from warptf.meta_learners.derivative_check import check_derivatives
from warptf.meta_learners.task_axes import as_task, leading_axes
from warptf.tasks.task import Task
from warptf.value_checks import refuse


class TaskChecking:
    """What a `MetaLearner` checks before it learns from tasks, scores them or adapts to one."""

    def _check_compiled(self: AdaptingLearner, what: str) -> None:
        if not self._is_compiled:
            raise ValueError(f"compile the meta-learner before {what}: it has no loss yet.")
        self._check_model()

    @property
    def _evaluation_steps(self: AdaptingLearner) -> int:
        return self.inner_steps if self.evaluation_steps is None else self.evaluation_steps

    def _checked_count(self: AdaptingLearner, name: str, value: Any) -> int:
        """Returns a number of inner steps: 1 or more; or 0, where a head needs none to predict."""
        is_zero = isinstance(value, int) and not isinstance(value, bool) and value == 0
        if is_zero and self._learner.starts_from_support:
            return 0
        return positive_integer(name, value)

    def _prepare(
        self: AdaptingLearner, data: Any, steps: int, where: str, query_steps: bool = True
    ) -> Task:
        """Checks the first meta-batch, makes the metrics for its shapes and returns it."""
        task = self._data.first(data, steps, where, query_steps)
        refuse(self._problem_in(task, where))
        self._resolve_specs(task.support, task.query)
        return task

    def _problem_in(self: AdaptingLearner, task: Task, where: str) -> tf.Tensor:
        """Returns what is wrong with the numbers of a meta-batch, in words, or an empty string."""
        return self._data.problem_in(task, where)

    def _checked(self: AdaptingLearner, data: tf.data.Dataset, where: str) -> tf.data.Dataset:
        """Returns data that fail where a meta-batch has a problem, before it is learned from."""
        return checked(data, lambda element: self._problem_in(as_task(element), where))

    def _check_training_task(self: AdaptingLearner, task: Task) -> None:
        """Checks what an algorithm needs of the first meta-batch beyond its axes."""

    def _check_derivatives(self: AdaptingLearner, task: Task) -> None:
        """Refuses, once, a model that cannot be differentiated as often as it would have to be."""
        if not self._derivatives_checked:
            parts = {"objective": self.objective, "initialization": self.initialization}
            has_steps = leading_axes(task.support[0], self._model_input) == 3
            check_derivatives(self._problem, parts, task.support, has_steps)
            self._derivatives_checked = True

    def _resolve_specs(self: AdaptingLearner, support: Any, query: Any) -> None:
        """Makes losses and metrics for the targets of tasks, and remembers their kind."""
        self._label_spec = self._data.resolve(support, query)
