"""What the online algorithm learns from one task."""

from typing import Any

import tensorflow as tf

from warptf.adaptation import looking_ahead
from warptf.initializations.initialization import Initialization
from warptf.meta_learners.task_metrics import TaskMetrics
from warptf.meta_learners.training_tasks import TrainingTasks
from warptf.objectives.objective import Objective
from warptf.objectives.start_term import start_term
from warptf.objectives.task_gradients import TaskGradients
from warptf.objectives.term_sum import TermSum
from warptf.reported import reported_dtype
from warptf.tasks.task import Task


class OnlineTask:
    r"""Adapts to one task of a meta-batch and returns what is learned on the way.

    Args:
        tasks: what the tasks of the meta-batch share.
        objective: what $\phi$ minimises, or `None`.
        initialization: what $\theta_0$ minimises.
        metrics: what is reported beside the loss.
    """

    def __init__(
        self,
        tasks: TrainingTasks,
        objective: Objective | None,
        initialization: Initialization,
        metrics: TaskMetrics,
    ) -> None:
        self._tasks = tasks
        self._objective = objective
        self._initialization = initialization
        self._metrics = metrics

    def __call__(self, task: Task, index: tf.Tensor) -> dict[str, Any]:
        """Returns one task's gradients by group, averaged over steps, its loss and metrics.

        Args:
            task: the task, without the task axis.
            index: its position in the meta-batch.
        """
        objective = self._objective
        if objective is None:
            learned = self._alone(task, index)
        elif objective.differentiates_adaptation:
            adaptation = self._tasks.adaptation(task, index)
            learned = objective.learn(adaptation, self._initialization)
        else:
            learned = self._step_by_step(objective, task, index)
        theta = learned.theta
        if theta is None:
            theta = [tf.zeros_like(t) for t in self._tasks.parameters.theta]
        return {
            "phi": list(learned.phi),
            "hyper": list(learned.hyper),
            "theta_0": list(theta),
            "loss": tf.cast(learned.loss, reported_dtype()),
            **self._metrics(learned.output, *learned.adapted.last.meta[1:]),
        }

    def _alone(self, task: Task, index: tf.Tensor) -> TaskGradients:
        """Returns what the initialisation learns where there is no objective.

        Then the loss to watch is the one after adaptation.
        """
        adaptation = self._tasks.adaptation(task, index)
        gradient, adapted = self._initialization.learn(adaptation)
        output = adapted.final_loss()
        shared = self._tasks.parameters
        phi, hyper = tf.nest.map_structure(tf.zeros_like, (shared.phi, shared.hyper))
        return TaskGradients(phi, hyper, gradient, adapted, output, output.reported["loss"])

    def _step_by_step(self, objective: Objective, task: Task, index: tf.Tensor) -> TaskGradients:
        """Returns the means over steps of an objective's terms."""
        tasks, initialization = self._tasks, self._initialization
        starts = tasks.problem.learner.starts_from_support
        adaptation = tasks.adaptation(
            task,
            index,
            looking_ahead(objective.lookahead, initialization.differentiates_adaptation),
            [TermSum(type(objective).__name__, starts)],
        )
        gradient, adapted = initialization.learn(adaptation)
        (terms,) = adapted.observed
        output = adapted.final_loss()
        phi = terms.phi
        if starts:
            through = start_term(adaptation, terms.moving)
            phi = [a + b for a, b in zip(phi, through, strict=True)]
        return TaskGradients(
            [g / tasks.steps for g in phi],
            [g / tasks.steps for g in terms.hyper],
            gradient,
            adapted,
            output,
            terms.loss / tasks.steps,
        )
