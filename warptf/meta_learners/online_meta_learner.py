"""Algorithm 1: warp parameters learned while tasks are being learned."""

from typing import Any, Literal

import keras
import tensorflow as tf

from warptf.adaptation import InnerState, InnerStep, dense_gradient
from warptf.initializations.fixed import Fixed
from warptf.initializations.initialization import Initialization
from warptf.initializations.maml import MAML
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.cross_replica_steps import CrossReplicaSteps, all_reduce_mean, gather
from warptf.meta_learners.default_objective import AUTO
from warptf.meta_learners.diverged_tasks import leave_out_diverged
from warptf.meta_learners.loss_scales import all_finite
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.meta_learners.seeds import TRAINING, task_seed
from warptf.meta_learners.task_axes import (
    as_task,
    map_tasks,
    mean_over_tasks,
    share_of_tasks,
    task_count,
)
from warptf.meta_learners.worker_shares import is_multi_worker
from warptf.objectives.objective import Objective
from warptf.objectives.start_term import start_term
from warptf.reported import reported_dtype
from warptf.tasks.task import Task

Tensors = list[tf.Tensor]

_GROUPS = ("phi", "hyper", "theta_0")


class OnlineMetaLearner(CrossReplicaSteps, MetaLearner):
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
            self._gathered = [
                [
                    self._same_everywhere(f"gathered_{name}_{index}", v.shape, v.dtype)
                    for index, v in enumerate(groups[name])
                ]
                for name in _GROUPS
            ]
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
            gathered = tf.nest.flatten(self._gathered)
            finite = all_finite([tf.convert_to_tensor(v.value) for v in gathered])
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
        for name, variables in zip(_GROUPS, self._gathered, strict=True):
            gather(variables, all_reduce_mean(means[name]), first)
        if self._loss_scales is not None:
            gather([self._left_out], all_reduce_mean([means["left_out"]]), first)
        with tf.control_dependencies(tf.nest.flatten(means)):
            self._parts_gathered.assign((part + 1) % self.gradient_accumulation_steps)
        return logs

    def _move_by_gathered(self) -> None:
        """Moves by the mean of what is gathered."""
        count = self.gradient_accumulation_steps
        self._move(
            {
                name: [tf.convert_to_tensor(v.value) / count for v in variables]
                for name, variables in zip(_GROUPS, self._gathered, strict=True)
            }
        )

    def _gradients(
        self, task: Task, part: tf.Tensor
    ) -> tuple[dict[str, Any], dict[str, tf.Tensor]]:
        """Returns the mean gradients of a meta-batch's tasks, and what is to be reported.

        Args:
            task: the meta-batch.
            part: its number among those that a meta-step gathers.
        """
        theta, phi = self._learner.initial_theta(), self._learner.warp_values()
        hyper = self.inner_optimizer.hyper_values()
        names = self._task_metrics.names
        count = task_count(task)
        before, total = share_of_tasks(count)
        first = part * total + before

        def learn(one: Task, index: tf.Tensor) -> dict[str, Any]:
            seed = task_seed(self.seed, TRAINING, self.meta_step.value, first + index)
            return self._learn_task(one, theta, phi, hyper, seed)

        groups = self._groups()
        signature = {
            **{name: [tf.TensorSpec(v.shape, v.dtype) for v in groups[name]] for name in _GROUPS},
            "loss": tf.TensorSpec((), reported_dtype()),
            **{name: tf.TensorSpec((), reported_dtype()) for name in names},
        }
        with self._losses_scaled():
            per_task = map_tasks(learn, task, signature, count, self._jit_tasks)
        kept = None
        if self._skip_diverged:
            per_task, kept = leave_out_diverged(per_task, _GROUPS)
        means = {name: [mean_over_tasks(g, total) for g in per_task[name]] for name in _GROUPS}
        logs = self._track({name: per_task[name] for name in ("loss", *names)}, kept)
        left_out = tf.zeros([1]) if kept is None else 1.0 - tf.cast(kept, tf.float32)
        if kept is not None:
            logs |= self._track({"diverged": left_out})
        return {**means, "left_out": tf.reduce_mean(left_out)}, logs

    def _learn_task(
        self, task: Task, theta: Tensors, phi: Tensors, hyper: Tensors, seed: tf.Tensor
    ) -> dict[str, Any]:
        """Returns one task's gradients, averaged over steps, and its meta loss."""
        if self.objective is not None and self.objective.differentiates_adaptation:
            return self._backpropagate(task, theta, phi, hyper, seed)

        def advance(k: tf.Tensor, inner: InnerState, carry: Any) -> tuple[InnerStep, Any]:
            batch = self._batch(task.support, k)
            if self.objective is None:
                return self._problem.step(inner, phi, hyper, batch), carry
            return self._look_ahead(task, k, inner, phi, hyper, batch, carry)

        zeros = tf.nest.map_structure(tf.zeros_like, (phi, hyper))
        carry = () if self.objective is None else (*zeros, tf.zeros([], reported_dtype()), [])
        if carry and self._learner.starts_from_support:
            carry = (*carry[:3], [tf.zeros_like(t) for t in theta])
        learned = self._learn_initialization(task, theta, phi, seed, advance, carry)
        final = learned.adapted.final
        query = self._batch(task.query, self._last_step)
        # Without an objective along the steps, the loss to watch is the one after adaptation.
        output = self._problem.meta_loss(final.theta, phi, final.state, query)
        metrics = self._task_metrics(output, *query[1:])
        if self.objective is None:
            phi_sum, hyper_sum = zeros
            loss = tf.cast(output.reported["loss"], reported_dtype())
        else:
            phi_sum, hyper_sum, loss, theta_sum = learned.adapted.rest
            loss /= self.inner_steps
            if theta_sum:
                support = self._whole(task.support)
                through = start_term(self._problem, theta, seed, phi, support, theta_sum)
                phi_sum = [a + b for a, b in zip(phi_sum, through, strict=True)]
        gradient = learned.gradient or self._no_gradient()
        return {
            "phi": [g / max(self.inner_steps, 1) for g in phi_sum],
            "hyper": [g / max(self.inner_steps, 1) for g in hyper_sum],
            "theta_0": list(gradient),
            "loss": loss,
            **metrics,
        }

    def _backpropagate(
        self, task: Task, theta: Tensors, phi: Tensors, hyper: Tensors, seed: tf.Tensor
    ) -> dict[str, Any]:
        """Returns one task's gradients of the meta loss after all inner steps, and that loss."""
        count = len(self.partition.task_variables)
        # MAML's gradient is that of the same loss: one backward pass gives both.
        joint = isinstance(self.initialization, MAML) and not self.initialization.first_order
        sources = [list(theta[:count]) if joint else [], phi, hyper]

        def advance(k: tf.Tensor, inner: InnerState, carry: Any) -> tuple[InnerStep, Any]:
            return self._problem.step(inner, phi, hyper, self._batch(task.support, k)), carry

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            initialization = Fixed() if joint else self.initialization
            learned = self._learn_initialization(
                task, theta, phi, seed, advance, (), initialization
            )
            final = learned.adapted.final
            query = self._batch(task.query, self._last_step)
            output = self._problem.meta_loss(final.theta, phi, final.state, query)
        through, phi_gradient, hyper_gradient = dense_gradient(tape, output.loss, sources)
        gradient = through if joint else learned.gradient or self._no_gradient()
        return {
            "phi": phi_gradient,
            "hyper": hyper_gradient,
            "theta_0": list(gradient),
            "loss": tf.cast(output.reported["loss"], reported_dtype()),
            **self._task_metrics(output, *query[1:]),
        }

    def _look_ahead(
        self,
        task: Task,
        k: tf.Tensor,
        inner: InnerState,
        phi: Tensors,
        hyper: Tensors,
        batch: Any,
        carry: Any,
    ) -> tuple[InnerStep, Any]:
        """Takes an inner step and adds the objective's term to the sums."""
        meta_batch = self._batch(task.query, k)
        differentiates = self.initialization.differentiates_adaptation
        if differentiates:
            # theta_k is a constant for the warp objective, and phi one for the initialisation.
            constant = tf.nest.map_structure(tf.stop_gradient, inner)
            fixed = [tf.stop_gradient(p) for p in phi]
            look = self.objective.lookahead(
                self._problem, constant, fixed, hyper, batch, meta_batch
            )
            step = self._problem.step(inner, fixed, hyper, batch)
        else:
            look = self.objective.lookahead(self._problem, inner, phi, hyper, batch, meta_batch)
            step = look.step
        # Nothing that is differentiated later goes through the objective's terms.
        if self._learner.starts_from_support and look.theta_gradient is None:
            raise ValueError(
                f"objective {type(self.objective).__name__} returns no theta_gradient in its "
                "Lookahead, which a head that starts from the support set needs: return one, or "
                "use WarpGrad() or BackpropThroughAdaptation()."
            )
        terms = (look.phi_gradient, look.hyper_gradient, look.meta_loss, look.theta_gradient or [])
        phi_term, hyper_term, loss, theta_term = tf.nest.map_structure(tf.stop_gradient, terms)
        phi_sum, hyper_sum, loss_sum, theta_sum = carry
        carry = (
            [a + b for a, b in zip(phi_sum, phi_term, strict=True)],
            [a + b for a, b in zip(hyper_sum, hyper_term, strict=True)],
            loss_sum + tf.cast(loss, reported_dtype()),
            [a + b for a, b in zip(theta_sum, theta_term, strict=True)],
        )
        return step, carry

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        return {
            **super().get_config(),
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
