"""Labelled examples of many tasks, as a stream."""

from typing import Any

import keras
import tensorflow as tf

from warptf.adaptation import InnerProblem, dense_gradient
from warptf.compiled_loss import CompiledLoss
from warptf.experience import Experience, Learned, StreamPart, Tensors
from warptf.inner_optimizers.sgd import SGD
from warptf.meta_learners.checked_data import checked
from warptf.meta_learners.task_axes import (
    as_task,
    inputs_of,
    leading_axes,
    mean_over_tasks,
    parts_of,
    share_of_tasks,
    task_count,
)
from warptf.meta_learners.task_checks import check_task, problem_in
from warptf.meta_learners.task_mapping import TaskMapping, map_tasks
from warptf.meta_learners.task_metrics import Metrics, TaskMetrics
from warptf.meta_learners.tensor_kinds import check_inputs
from warptf.partition import FunctionalLearner, input_spec, output_spec
from warptf.reported import reported_dtype
from warptf.tasks.task import Task
from warptf.value_checks import first_of, refuse


class Supervised(Experience):
    r"""The loss of a learner on labelled examples, the mean over the tasks of a batch.

    $\theta$ learns from the support sets and $\phi$ from the query sets. Batch norm uses each
    batch's own statistics where it learns; where it is scored, those of the task's support set.

    Args:
        loss: a Keras loss, its name or configuration; for several outputs a list or dict of them.
        metrics: Keras metrics, computed per task and averaged over tasks; for several outputs a
            list or dict of lists.
        loss_weights: weights of the losses of several outputs.
        weighted_metrics: metrics that the weights of examples weigh.

    Raises:
        ValueError: no loss.
    """

    def __init__(
        self,
        loss: Any,
        metrics: Metrics | None = None,
        loss_weights: Any = None,
        weighted_metrics: Metrics | None = None,
    ) -> None:
        if loss is None:
            raise ValueError(
                "loss must be a Keras loss, its name or a function of (y_true, y_pred); got None."
            )
        self._given = {
            "loss": loss,
            "metrics": metrics,
            "loss_weights": loss_weights,
            "weighted_metrics": weighted_metrics,
        }
        self._mapping = TaskMapping()

    def compile_for(self, learner: FunctionalLearner) -> None:
        """Makes loss and metrics for the learner's outputs."""
        given = self._given
        self._loss = CompiledLoss(given["loss"], learner.model, given["loss_weights"])
        self._metrics = TaskMetrics(given["metrics"], given["weighted_metrics"], self._loss)
        self.metric_names = self._metrics.names

    def map_tasks_by(self, mapping: TaskMapping) -> None:
        """Sets how the tasks of a batch are mapped.

        Args:
            mapping: one after the other, as without this, or together.
        """
        self._mapping = mapping

    def prepare(self, learner: FunctionalLearner, data: Any, where: str) -> None:
        """Checks the first batch, and makes the metrics for its shapes."""
        if not isinstance(data, tf.data.Dataset):
            raise TypeError(
                f"the {where} data must be a tf.data.Dataset of warptf.tasks.Task, got "
                f"{type(data).__name__}: use tf.data.Dataset.from_tensors(task) for one batch."
            )
        spec, predictions = input_spec(learner.model), output_spec(learner.model)
        for first in data.take(1):
            task = as_task(first)
            check_task(task, spec, 1, where, query_steps=False)
            for name, part in parts_of(task).items():
                inputs = inputs_of(part[0], spec)
                check_inputs(f"{name} of the {where} tasks", inputs, learner.model)
                if leading_axes(part[0], spec) != 2:
                    raise ValueError(
                        f"{where} tasks' {name}: must have no step axis, [T, B, ...], for the "
                        "stream itself is the steps."
                    )
            refuse(self._problem_in(task, spec, where))
            kinds = tf.nest.map_structure(
                lambda t: tf.TensorSpec((None, *t.shape[2:]), t.dtype), task.query[1:]
            )
            self._loss.resolve(kinds[0], predictions, *kinds[1:])
            self._metrics.resolve(kinds[0], predictions, *kinds[1:])
            self.keras_metrics = self._metrics.listed
            return
        raise ValueError(f"the {where} data set is empty: it must yield at least one batch.")

    def checked(
        self, learner: FunctionalLearner, data: tf.data.Dataset, where: str
    ) -> tf.data.Dataset:
        """Returns data that fail where the numbers of a batch have a problem."""
        spec = input_spec(learner.model)
        return checked(data, lambda element: self._problem_in(as_task(element), spec, where))

    def _problem_in(self, task: Task, spec: Any, where: str) -> tf.Tensor:
        parts = parts_of(task).items()
        return first_of(
            [problem_in(part, f"{where} tasks' {name}", spec, self._loss) for name, part in parts]
        )

    def record(
        self,
        learner: FunctionalLearner,
        theta: Tensors,
        phi: Tensors,
        data: Any,
        seed: tf.Tensor,
        part: StreamPart,
    ) -> Task:
        """Returns the tasks with one part alone, as support and query."""
        chosen = getattr(as_task(data), part)
        return Task(chosen, chosen)

    def learn(
        self,
        learner: FunctionalLearner,
        theta: Tensors,
        phi: Tensors,
        record: Task,
        seed: tf.Tensor,
    ) -> Learned:
        """Returns the mean loss over tasks, its gradients and the metrics."""
        problem = self._problem(learner)
        sources = [*theta, *phi]
        before, total = share_of_tasks(task_count(record))

        def one(task: Task, index: tf.Tensor) -> dict[str, Any]:
            own = tf.random.experimental.stateless_fold_in(seed, before + index)
            state = learner.initial_state(own)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                output = problem.loss(theta, phi, state, task.support)
            return {
                "gradients": dense_gradient(tape, output.loss, sources),
                "loss": tf.cast(output.reported["loss"], reported_dtype()),
                **self._metrics(output, *task.support[1:]),
            }

        specs = [tf.TensorSpec(s.shape, s.dtype) for s in sources]
        each = self._map(one, record, {"gradients": specs})
        gradients = [mean_over_tasks(g, total) for g in each.pop("gradients")]
        means = {name: tf.reduce_mean(values) for name, values in each.items()}
        loss = means.pop("loss")
        return Learned(loss, gradients[: len(theta)], gradients[len(theta) :], means)

    def score(
        self, learner: FunctionalLearner, theta: Tensors, phi: Tensors, data: Any, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the mean loss and metrics on the query sets."""
        problem = self._problem(learner)

        def one(task: Task, index: tf.Tensor) -> dict[str, Any]:
            state = learner.initial_state(tf.random.experimental.stateless_fold_in(seed, index))
            gathered = problem.loss(theta, phi, state, task.support).state
            output = problem.loss(theta, phi, gathered, task.query, training=False)
            metrics = self._metrics(output, *task.query[1:])
            return {"loss": tf.cast(output.reported["loss"], reported_dtype()), **metrics}

        each = self._map(one, as_task(data), {})
        return {name: tf.reduce_mean(values) for name, values in each.items()}

    def _problem(self, learner: FunctionalLearner) -> InnerProblem:
        # No step is taken: only its losses are of use here.
        return InnerProblem(learner, SGD(1.0), self._loss)

    def _map(self, one: Any, tasks: Task, more: dict[str, Any]) -> dict[str, Any]:
        """Returns what a function of one task returns, for all."""
        scalar = tf.TensorSpec((), reported_dtype())
        signature = {"loss": scalar, **dict.fromkeys(self.metric_names, scalar), **more}
        return map_tasks(one, tasks, signature, task_count(tasks), self._mapping)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        return keras.saving.serialize_keras_object(self._given)


def experience_of(
    loss: Any,
    metrics: Metrics | None,
    loss_weights: Any,
    weighted_metrics: Metrics | None,
    mapping: TaskMapping,
) -> Experience:
    """Returns what is learned from, given the arguments of `compile`.

    Args:
        loss: a Keras loss, for labelled examples; or an experience.
        metrics: as in `Supervised`; `None` for an experience, as what follows.
        loss_weights: as in `Supervised`.
        weighted_metrics: as in `Supervised`.
        mapping: how tasks of labelled examples are mapped.

    Raises:
        ValueError: no loss, or an argument that an experience has no use for.
    """
    if not isinstance(loss, Experience):
        experience = Supervised(loss, metrics, loss_weights, weighted_metrics)
        experience.map_tasks_by(mapping)
        return experience
    given = {
        "metrics": metrics,
        "loss_weights": loss_weights,
        "weighted_metrics": weighted_metrics,
    }
    for argument, value in given.items():
        if value:
            raise ValueError(
                f"{argument}: {type(loss).__name__} reports losses and metrics of its own, got "
                f"{value!r}: leave them out."
            )
    if isinstance(loss, Supervised):
        loss.map_tasks_by(mapping)
    elif mapping.vectorize not in (False, "auto"):
        raise ValueError(
            f"vectorize_tasks: {type(loss).__name__} computes its episodes together in any case, "
            f"got {mapping.vectorize!r}: leave it out."
        )
    return loss
