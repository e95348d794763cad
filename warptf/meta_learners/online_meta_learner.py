"""Algorithm 1: warp parameters learned while tasks are being learned."""

from typing import Any, Literal

import keras
import tensorflow as tf

from warptf.distribution import all_reduce_mean
from warptf.initializations.initialization import Initialization
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.default_objective import AUTO
from warptf.meta_learners.diverged_tasks import leave_out_diverged
from warptf.meta_learners.gathered_gradients import GatheredGradients, gather
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.meta_learners.online_task import OnlineTask
from warptf.meta_learners.task_axes import (
    as_task,
    mean_over_tasks,
    share_of_tasks,
    task_count,
)
from warptf.meta_learners.task_mapping import map_tasks
from warptf.meta_learners.worker_shares import is_multi_worker
from warptf.objectives.objective import Objective
from warptf.reported import reported_dtype
from warptf.tasks.task import Task

_GROUPS = ("phi", "hyper", "theta_0")


class OnlineMetaLearner(MetaLearner):
    r"""Algorithm 1: gathers the warp objective's gradient at every inner step, in one pass.

    For each task of the meta-batch, from $\theta_0$: $K$ inner steps, each adding
    $\nabla_\phi L(\phi; \theta_k)$ and the new part of $\nabla C(\theta_0)$; after all tasks
    $\phi \leftarrow \phi - \beta g_\phi$ and $\theta_0 \leftarrow \theta_0 - \lambda \beta
    g_{\theta_0}$. The gradients are means over tasks and, for $\phi$, over steps. Memory does not
    grow with $K$ (except with `MAML()`, which differentiates the whole adaptation).

    Args:
        model: a built Keras model with task layers and, for an objective, warp layers.
        inner_optimizer: the update rule of the inner loop.
        inner_steps: $K$, the number of inner steps in training.
        objective: what $\phi$ minimises, or `None` to leave $\phi$ alone. By default (`"auto"`) it
            follows the model: `WarpGrad()` where there are warp variables, or learned values of
            the inner optimizer, else `None`.
        initialization: what $\theta_0$ minimises; `Fixed()` if `None`.
        initialization_weight: $\lambda$ of Eq. 9. Defaults to 1.
        evaluation_steps: inner steps in `evaluate` and `adapt`; `inner_steps` if `None`.
        seed: an integer from which all random numbers derive. Defaults to 0.
        gradient_accumulation_steps: number of meta-batches of the data that one meta-step gathers
            gradients from, for meta-batches that do not fit into memory at once: the meta-step is
            that of all their tasks together. `meta_step` counts these; `fit` counts meta-batches.
            Defaults to 1.
        **kwargs: `batch_norm` of `MetaLearner`; `name` and other arguments of `keras.Model`.

    Training tasks: `support` feeds the inner steps and `query` the meta loss; each with a step axis
    (one mini-batch a step) or without (the whole set at every step).

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range, or a model without task variables, or without warp
            variables where an objective was given.

    Example:
        >>> import keras, numpy as np, tensorflow as tf, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4),
        ...     warptf.layers.WarpDense(4), keras.layers.Dense(1)])
        >>> learner = warptf.OnlineMetaLearner(
        ...     model, warptf.inner_optimizers.SGD(0.1), inner_steps=3)
        >>> learner.compile(optimizer="adam", loss="mse")
        >>> x, y = np.ones((4, 5, 2), "float32"), np.ones((4, 5, 1), "float32")
        >>> tasks = tf.data.Dataset.from_tensors(warptf.tasks.Task((x, y), (x, y)))
        >>> history = learner.fit(tasks, verbose=0)
        >>> adapted = learner.adapt(x[0], y[0])
        >>> adapted(x[0]).shape
        TensorShape([5, 1])

    Reference:
        arXiv 1909.00025, algorithm 1.
    """

    def __init__(
        self,
        model: keras.Model,
        inner_optimizer: InnerOptimizer,
        inner_steps: int,
        objective: Objective | Literal["auto"] | None = AUTO,
        initialization: Initialization | None = None,
        initialization_weight: float = 1.0,
        evaluation_steps: int | None = None,
        seed: int = 0,
        gradient_accumulation_steps: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model,
            inner_optimizer,
            inner_steps,
            objective=objective,
            initialization=initialization,
            initialization_weight=initialization_weight,
            evaluation_steps=evaluation_steps,
            seed=seed,
            **kwargs,
        )
        self.gradient_accumulation_steps = positive_integer(
            "gradient_accumulation_steps", gradient_accumulation_steps
        )
        # An update that overflows is left out, and for that its gradients must be known before.
        self._accumulates = self.gradient_accumulation_steps > 1 or self._loss_scales is not None
        if self._accumulates:
            self._parts_gathered = self._same_everywhere("parts_gathered", (), "int32")
            groups = self._groups()
            self._gathered = GatheredGradients(
                self._same_everywhere, {name: groups[name] for name in _GROUPS}
            )
        if self._loss_scales is not None:
            self._left_out = self._same_everywhere("left_out", (), "float32")

    def compile(self, *args: Any, skip_diverged: bool = False, **kwargs: Any) -> None:
        r"""Sets the outer optimizers, the loss and the metrics.

        Args:
            *args: as in `MetaLearner.compile`.
            skip_diverged: whether a task whose adaptation diverged, its loss or gradients no longer
                finite, is left out: it counts as a gradient of zero, is in no mean that is
                reported, and `diverged` reports the share of such tasks. Without it one such task
                makes all that is meta-learned NaN. Defaults to `False`.
            **kwargs: as in `MetaLearner.compile`.

        Raises:
            TypeError: as `MetaLearner.compile`.
            ValueError: as `MetaLearner.compile`.
        """
        super().compile(*args, **kwargs)
        self._skip_diverged = bool(skip_diverged)
        if skip_diverged:
            self._compile_arguments["skip_diverged"] = True
            self._trackers["diverged"] = keras.metrics.Mean(name="diverged")

    @property
    def _steps_around_replicas(self) -> bool:
        return self._accumulates or is_multi_worker(self.distribute_strategy)

    def _meta_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Gathers the gradients of a meta-batch, and moves when all are gathered."""
        strategy = self.distribute_strategy
        if not self._accumulates:
            return self._report(strategy.run(self.train_step, args=(data,)))
        logs = strategy.run(self._gather, args=(data,))

        def move() -> tf.Tensor:
            strategy.run(self._move_by_gathered)
            return tf.constant(True)

        due = tf.equal(tf.convert_to_tensor(self._parts_gathered.value), 0)
        moves = due
        if self._loss_scales is not None:
            finite = self._gathered.all_finite()
            moves = tf.logical_and(due, finite)
            none_left_out = tf.equal(tf.convert_to_tensor(self._left_out.value), 0.0)
            kept = tf.logical_and(finite, none_left_out)
            strategy.run(self._loss_scales.follow, args=(kept, due))
        tf.cond(moves, move, lambda: tf.constant(False))
        strategy.run(self._count, args=(due,))
        return self._report(logs)

    def _count(self, due: tf.Tensor) -> None:
        self.meta_step.assign_add(tf.cast(due, tf.int64))

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Runs one meta-step on a meta-batch of tasks."""
        means, logs = self._gradients(as_task(data), tf.constant(0))
        self._move({name: means[name] for name in _GROUPS})
        with tf.control_dependencies(tf.nest.flatten(means)):
            self.meta_step.assign_add(1)
        return logs

    def _gather(self, data: Any) -> dict[str, tf.Tensor]:
        """Adds the gradients of a meta-batch to those that are gathered."""
        part = tf.convert_to_tensor(self._parts_gathered.value)
        means, logs = self._gradients(as_task(data), part)
        first = tf.equal(part, 0)
        self._gathered.add({name: all_reduce_mean(means[name]) for name in _GROUPS}, first)
        if self._loss_scales is not None:
            gather([self._left_out], all_reduce_mean([means["left_out"]]), first)
        with tf.control_dependencies(tf.nest.flatten(means)):
            self._parts_gathered.assign((part + 1) % self.gradient_accumulation_steps)
        return logs

    def _move_by_gathered(self) -> None:
        """Moves by the mean of what is gathered."""
        self._move(self._gathered.mean(self.gradient_accumulation_steps))

    def _gradients(
        self, task: Task, part: tf.Tensor
    ) -> tuple[dict[str, Any], dict[str, tf.Tensor]]:
        """Returns the mean gradients of a meta-batch's tasks, and what is to be reported.

        Args:
            task: the meta-batch.
            part: its number among those that a meta-step gathers.
        """
        names = self._task_metrics.names
        count = task_count(task)
        before, total = share_of_tasks(count)
        tasks = self._training_tasks(part * total + before)
        learn = OnlineTask(tasks, self.objective, self.initialization, self._task_metrics)
        groups = self._groups()
        signature = {
            **{name: [tf.TensorSpec(v.shape, v.dtype) for v in groups[name]] for name in _GROUPS},
            "loss": tf.TensorSpec((), reported_dtype()),
            **{name: tf.TensorSpec((), reported_dtype()) for name in names},
        }
        with self._losses_scaled():
            per_task = map_tasks(learn, task, signature, count, self._mapping)
        kept = None
        if self._skip_diverged:
            per_task, kept = leave_out_diverged(per_task, _GROUPS)
        means = {name: [mean_over_tasks(g, total) for g in per_task[name]] for name in _GROUPS}
        logs = self._track({name: per_task[name] for name in ("loss", *names)}, kept)
        left_out = tf.zeros([1]) if kept is None else 1.0 - tf.cast(kept, tf.float32)
        if kept is not None:
            logs |= self._track({"diverged": left_out})
        return {**means, "left_out": tf.reduce_mean(left_out)}, logs

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        return {
            **super().get_config(),
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
