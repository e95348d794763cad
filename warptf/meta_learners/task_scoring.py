"""Scoring of single tasks, a part of every meta-learner."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.adaptation import InnerState
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.seeds import EVALUATION, task_seed
from warptf.meta_learners.task_axes import as_task, map_tasks, task_count
from warptf.meta_learners.task_checks import is_endless
from warptf.tasks.task import Task

Tensors = list[tf.Tensor]


class TaskScoring:
    """What a `MetaLearner` does in `evaluate`: adapt to each task, then score its query set."""

    def test_step(self: Any, data: Any) -> dict[str, tf.Tensor]:
        """Adapts to a meta-batch and scores its query sets."""
        scores = self._score_tasks(as_task(data), self._evaluation_steps, along=False)
        return self._track(scores)

    def evaluate_tasks(
        self: Any, data: tf.data.Dataset, steps: int | None = None
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
            ValueError: not compiled, wrong shapes, NaN or labels out of range in the first
                meta-batch, or a data set without end.
        """
        self._check_compiled("evaluate_tasks")
        steps = self._evaluation_steps if steps is None else positive_integer("steps", steps)
        self._prepare(data, steps, "evaluation", query_steps=False)
        if is_endless(data):
            raise ValueError("the evaluation data set has no end: pass data.take(n).")
        if self._score_function is None:
            self._score_function = tf.function(
                lambda task, k: self._score_tasks(task, int(k), along=True), autograph=False
            )
        parts = [self._score_function(as_task(data_), steps) for data_ in data]
        return {name: np.concatenate([p[name].numpy() for p in parts]) for name in parts[0]}

    def _score_tasks(self: Any, task: Task, steps: int, along: bool) -> dict[str, tf.Tensor]:
        names = ["loss", *self._task_metrics.names]
        signature = {name: tf.TensorSpec((), tf.float32) for name in names}
        if along:
            curve = tf.TensorSpec((steps,), tf.float32)
            signature |= {f"support_{name}": curve for name in names}
        theta, phi = self._learner.initial_theta(), self._learner.warp_values()
        hyper = self.inner_optimizer.hyper_values()

        def score(one: Task, index: tf.Tensor) -> dict[str, tf.Tensor]:
            # A task that says which it is scores the same wherever it stands among others.
            position = index if one.task_id is None else one.task_id
            seed = task_seed(self.seed, EVALUATION, 0, position)
            start = self._problem.start(theta, seed)
            return self._score_task(one, start, phi, hyper, steps, names if along else [])

        return map_tasks(score, task, signature, task_count(task))

    def _score_task(
        self: Any,
        task: Task,
        start: InnerState,
        phi: Tensors,
        hyper: Tensors,
        steps: int,
        along: Sequence[str],
    ) -> dict[str, tf.Tensor]:
        def body(k: tf.Tensor, inner: InnerState, curves: Any) -> tuple[InnerState, Any]:
            x, y = self._batch(task.support, k)
            step = self._problem.step(inner, phi, hyper, (x, y))
            if along:
                values = {"loss": step.loss, **self._task_metrics(y, step.predictions)}
                curves = {name: curves[name].write(k, values[name]) for name in along}
            return step.after, curves

        curves = {name: tf.TensorArray(tf.float32, steps, element_shape=()) for name in along}
        final, curves = self._problem.run(start, steps, body, curves)
        query = self._batch(task.query, tf.constant(0))
        output = self._problem.loss(final.theta, phi, final.state, query, training=False)
        scores = {"loss": tf.cast(output.loss, tf.float32)}
        scores |= self._task_metrics(query[1], output.predictions)
        return scores | {f"support_{name}": curve.stack() for name, curve in curves.items()}
