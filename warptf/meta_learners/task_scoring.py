"""Scoring of single tasks, a part of every meta-learner."""

from typing import Any

import numpy as np
import tensorflow as tf

from warptf.adaptation import Start, Tensors, adapt
from warptf.meta_learners.adapting_learner import AdaptingLearner
from warptf.meta_learners.scoring_observers import (
    LearningCurves,
    ParametersAlong,
    PredictionsAlong,
    StatesAlong,
)
from warptf.meta_learners.seeds import EVALUATION, task_seed
from warptf.meta_learners.task_axes import (
    as_task,
    batches_of,
    task_count,
    whole_support,
)
from warptf.meta_learners.task_checks import is_endless
from warptf.meta_learners.task_mapping import map_tasks
from warptf.partition import output_spec
from warptf.reported import reported_dtype
from warptf.tasks.task import Task
from warptf.value_checks import problems_as_errors


class TaskScoring:
    """What a `MetaLearner` does in `evaluate`: adapt to each task, then score its query set."""

    def test_step(self: AdaptingLearner, data: Any) -> dict[str, tf.Tensor]:
        """Adapts to a meta-batch and scores its query sets."""
        scores = _score_tasks(self, as_task(data), self._evaluation_steps, along=False)
        return self._track(scores)

    def evaluate_tasks(
        self: AdaptingLearner, data: tf.data.Dataset, steps: int | None = None
    ) -> dict[str, Any]:
        """Scores each task by itself.

        Args:
            data: a data set of `warptf.tasks.Task`s.
            steps: inner steps; `evaluation_steps` if `None`.

        Returns:
            Arrays: `"loss"` and each metric on the query set, `[N]` for `N` tasks in the order of
            the data set; and, with the prefix `"support_"`, the same on the batch of each inner
            step before the step is taken, `[N, K]`.

        Raises:
            TypeError: the data are no tasks.
            ValueError: not compiled, wrong shapes, NaN or labels out of range, or data without end.
        """
        steps = _checked_steps(self, "evaluate_tasks", data, steps)
        if self._score_function is None:
            self._score_function = tf.function(
                lambda task, k: _score_tasks(self, task, int(k), along=True), autograph=False
            )
        with problems_as_errors():
            tasks = map(as_task, self._checked(data, "evaluation"))
            parts = [self._score_function(task, steps) for task in tasks]
        return {name: np.concatenate([p[name].numpy() for p in parts]) for name in parts[0]}

    def predict_along(
        self: AdaptingLearner, data: tf.data.Dataset, steps: int | None = None
    ) -> Any:
        r"""Predicts the query set of each task at each step of adaptation, $k = 0..K$.

        Args:
            data: a data set of `warptf.tasks.Task`s.
            steps: inner steps; `evaluation_steps` if `None`.

        Returns:
            `[N, K + 1, Q, ...]` for `N` tasks with `Q` examples in their query sets: the first
            before adaptation, the last after it, all out of training mode. A structure of such for
            a model of several outputs.

        Raises:
            TypeError: the data are no tasks.
            ValueError: as for `evaluate_tasks`.
        """
        flat = _along(self, "predictions", data, steps)
        return tf.nest.pack_sequence_as(output_spec(self.model), flat)

    def trajectories(
        self: AdaptingLearner, data: tf.data.Dataset, steps: int | None = None
    ) -> list[np.ndarray]:
        r"""Returns the parameters of each task at each step of adaptation, $\theta_0..\theta_K$.

        Args:
            data: a data set of `warptf.tasks.Task`s.
            steps: inner steps; `evaluation_steps` if `None`.

        Returns:
            For each task and context variable of `partition`, in that order, `[N, K + 1, ...]` for
            `N` tasks.

        Raises:
            TypeError: the data are no tasks.
            ValueError: as for `evaluate_tasks`.
        """
        return _along(self, "parameters", data, steps)


def _along(
    learner: AdaptingLearner, what: str, data: tf.data.Dataset, steps: int | None
) -> list[np.ndarray]:
    caller = {"predictions": "predict_along", "parameters": "trajectories"}[what]
    steps = _checked_steps(learner, caller, data, steps)
    if learner._along_function is None:
        learner._along_function = tf.function(
            lambda what, task, k: _task_along(learner, what, task, int(k)), autograph=False
        )
    with problems_as_errors():
        tasks = map(as_task, learner._checked(data, "evaluation"))
        parts = [learner._along_function(what, task, steps) for task in tasks]
    return [np.concatenate([v.numpy() for v in values]) for values in zip(*parts, strict=True)]


def _checked_steps(
    learner: AdaptingLearner, caller: str, data: tf.data.Dataset, steps: int | None
) -> int:
    """Returns how many inner steps to take, after checking that the tasks can be scored."""
    learner._check_compiled(caller)
    steps = learner._evaluation_steps if steps is None else learner._checked_count("steps", steps)
    learner._prepare(data, steps, "evaluation", query_steps=False)
    if is_endless(data):
        raise ValueError("the evaluation data set has no end: pass data.take(n).")
    return steps


def _task_along(learner: AdaptingLearner, what: str, task: Task, steps: int) -> Tensors:
    """Returns what there is to see at each step, `[T, K + 1, ...]`."""
    specs = _along_specs(learner, what, task)

    def along(one: Task, index: tf.Tensor) -> Tensors:
        start = _start(learner, one, index)
        watching: StatesAlong = ParametersAlong(specs, steps)
        if what == "predictions":
            phi, x = start.shared.phi, one.query[0]
            watching = PredictionsAlong(specs, steps, learner._problem, phi, x)
        batches = batches_of(one, learner._model_input)
        adapted = adapt(learner._problem, start, batches, steps, observers=[watching])
        return adapted.observed[0]

    signature = [tf.TensorSpec((steps + 1, *spec.shape), spec.dtype) for spec in specs]
    with learner._losses_scaled(scoring=True):
        return map_tasks(along, task, signature, task_count(task), learner._mapping)


def _along_specs(learner: AdaptingLearner, what: str, task: Task) -> list[tf.TensorSpec]:
    if what == "parameters":
        return [tf.TensorSpec(v.shape, v.dtype) for v in learner._learner.theta_variables]
    queries = tf.nest.flatten(task.query[0])[0].shape[1]
    return [
        tf.TensorSpec((queries, *output.shape[1:]), output.dtype)
        for output in tf.nest.flatten(output_spec(learner.model))
    ]


def _start(learner: AdaptingLearner, task: Task, index: tf.Tensor) -> Start:
    # A task that says which it is scores the same wherever it stands among others.
    position = index if task.task_id is None else task.task_id
    seed = task_seed(learner.seed, EVALUATION, 0, position)
    support = whole_support(task, learner._model_input)
    return learner._problem.start(learner._problem.parameters(), seed, support)


def _score_tasks(
    learner: AdaptingLearner, task: Task, steps: int, along: bool
) -> dict[str, tf.Tensor]:
    names = ["loss", *learner._task_metrics.names]
    signature = {name: tf.TensorSpec((), reported_dtype()) for name in names}
    if along:
        curve = tf.TensorSpec((steps,), reported_dtype())
        signature |= {f"support_{name}": curve for name in names}

    def score(one: Task, index: tf.Tensor) -> dict[str, tf.Tensor]:
        watching = [LearningCurves(learner._task_metrics, steps)] if along else []
        start, batches = _start(learner, one, index), batches_of(one, learner._model_input)
        adapted = adapt(learner._problem, start, batches, steps, observers=watching)
        final, query = adapted.final, batches.meta(tf.constant(0))
        output = learner._problem.meta_loss(
            final.moving, start.shared.phi, final.state, query, training=False
        )
        scores = {"loss": tf.cast(output.reported["loss"], reported_dtype())}
        scores |= learner._task_metrics(output, *query[1:])
        curves = {name: c for seen in adapted.observed for name, c in seen.items()}
        return scores | {f"support_{name}": curve for name, curve in curves.items()}

    with learner._losses_scaled(scoring=True):
        return map_tasks(score, task, signature, task_count(task), learner._mapping)
