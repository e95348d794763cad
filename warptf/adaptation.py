"""The inner loop: how task parameters move on one task."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from warptf.compiled_loss import CompiledLoss
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.loss_scaling import are_scaled, scaled, unscaled, wide_enough
from warptf.partition import FunctionalLearner, LearnerOutput

Tensors = list[tf.Tensor]
Batch = tuple[Any, Any] | tuple[Any, Any, Any]

# Folded into a task's seed for the inner optimizer's random numbers. The learner's random state
# folds in small numbers, the positions of its variables, and never meets this one.
_OPTIMIZER_STREAM = 0x6D61736B


class InnerState(NamedTuple):
    r"""Everything that adaptation moves, at one step.

    Attributes:
        theta: $\theta_k$, task parameters and context.
        optimizer: the inner optimizer's state, stored together with $\theta_k$.
        state: the learner's state $s$ (batch-norm statistics, random state).
    """

    theta: Tensors
    optimizer: Tensors
    state: Tensors


class LossOutput(NamedTuple):
    """The loss on one batch, and what came with it.

    Attributes:
        loss: the scalar that is differentiated, penalties of the layers included.
        predictions: the model's output, `[B, ...]`.
        state: the learner's new state.
        reported: what Keras reports, scalars by name: `"loss"`, and with several losses that of
            each output.
    """

    loss: tf.Tensor
    predictions: Any
    state: Tensors
    reported: dict[str, tf.Tensor]


class InnerStep(NamedTuple):
    r"""One inner step, from $\theta_k$ to $\theta_{k+1}$.

    Attributes:
        before: the state at $k$.
        after: the state at $k + 1$.
        output: the task loss at $\theta_k$, in training mode.
        gradients: $\nabla_\theta$ of the task loss at $\theta_k$.
    """

    before: InnerState
    after: InnerState
    output: LossOutput
    gradients: Tensors

    @property
    def loss(self) -> tf.Tensor:
        r"""The task loss at $\theta_k$."""
        return self.output.loss

    @property
    def predictions(self) -> Any:
        r"""The model's output at $\theta_k$ in training mode."""
        return self.output.predictions


class Adaptation:
    r"""The inner problem: a learner, an inner optimizer and a task loss, all as pure functions.

    $\theta_{k+1} = u(\theta_k, \nabla_\theta L_{task}(\theta_k; \phi))$ (section 2 of the paper).
    No variable is assigned, so the same code serves training, evaluation and export.

    Args:
        learner: the functional view of the model.
        optimizer: the update rule $u$.
        loss: $L_{task}$, a `CompiledLoss`, or a loss as Keras takes it.
        meta_loss: $L_{meta}$ likewise; the same as `loss` if `None`.
        transductive: whether batch norm uses the statistics of the batch at hand out of training,
            too, and not those that adaptation gathered. Defaults to `False`.
    """

    def __init__(
        self,
        learner: FunctionalLearner,
        optimizer: InnerOptimizer,
        loss: Any,
        transductive: bool = False,
        meta_loss: Any = None,
    ) -> None:
        self.learner = learner
        self.transductive = transductive
        self.optimizer = optimizer
        self._loss = _compiled(loss, learner)
        self._meta_loss = self._loss if meta_loss is None else _compiled(meta_loss, learner)

    def start(
        self,
        theta: Sequence[tf.Tensor],
        seed: tf.Tensor,
        phi: Sequence[tf.Tensor] = (),
        support: Batch | None = None,
    ) -> InnerState:
        """Returns the state in which adaptation to a task starts.

        Args:
            theta: the initialisation.
            seed: two integers, different for each task.
            phi: warp parameters, of use where layers start from the support set.
            support: the whole support set for these layers; `None` leaves them at `theta`.
        """
        theta, state = list(theta), self.learner.initial_state(seed)
        if support is not None and self.learner.starts_from_support:
            theta, state = self.learner.start(theta, phi, state, support)
        return InnerState(theta, self.start_optimizer(theta, seed), state)

    def start_optimizer(self, theta: Sequence[tf.Tensor], seed: tf.Tensor) -> Tensors:
        """Returns the inner optimizer's state in which adaptation to a task starts.

        Args:
            theta: the initialisation.
            seed: two integers, different for each task.
        """
        folded = tf.random.experimental.stateless_fold_in(seed, _OPTIMIZER_STREAM)
        return self.optimizer.init(theta, folded)

    def class_labels(self, y: Any) -> list[tuple[str, Any, int]]:
        """Returns name, targets and number of classes of each output with class indices.

        Args:
            y: targets of the task loss.
        """
        return self._loss.class_labels(y)

    def loss(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        batch: Batch,
        training: bool = True,
    ) -> LossOutput:
        """Returns the task loss on a batch `(x, y)` or `(x, y, sample_weight)`."""
        return self._evaluate(self._loss, theta, phi, state, batch, training)

    def meta_loss(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        batch: Batch,
        training: bool = True,
    ) -> LossOutput:
        """Returns the meta loss on a batch `(x, y)` or `(x, y, sample_weight)`."""
        return self._evaluate(self._meta_loss, theta, phi, state, batch, training)

    def _evaluate(
        self, loss: CompiledLoss, theta: Any, phi: Any, state: Any, batch: Batch, training: bool
    ) -> LossOutput:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        output = self._call(theta, phi, state, x, training)
        total, reported = loss(y, output.predictions, weight)
        total = wide_enough(total)
        if output.penalty is not None:
            total += tf.cast(output.penalty, total.dtype)
            whole = reported["loss"] + tf.cast(output.penalty, reported["loss"].dtype)
            reported = {**reported, "loss": whole}
        return LossOutput(total, output.predictions, output.state, reported)

    def predict(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        x: Any,
    ) -> Any:
        """Returns the predictions of the learner on inputs, out of training mode."""
        return self._call(theta, phi, state, x, training=False).predictions

    def _call(self, theta: Any, phi: Any, state: Any, x: Any, training: bool) -> LearnerOutput:
        by_batch = self.transductive and not training
        return self.learner(theta, phi, state, x, training, batch_statistics=by_batch)

    def step(
        self,
        inner: InnerState,
        phi: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
        batch: Batch,
        tilt: tuple[float, Batch] | None = None,
    ) -> InnerStep:
        r"""Returns one inner step on a batch.

        Args:
            inner: the state at $k$.
            phi: warp parameters.
            hyper: learned values of the inner optimizer.
            batch: the batch `(x, y)` of the task loss.
            tilt: `None`, or a weight $\nu$ and a batch: the step descends the loss on `batch` plus
                $\nu$ times the meta loss on this other one.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inner.theta)
            output = self.loss(inner.theta, phi, inner.state, batch)
            descended = output.loss
            if tilt is not None:
                nu, other = tilt
                descended += nu * self.meta_loss(inner.theta, phi, inner.state, other).loss
        gradients = dense_gradient(tape, descended, inner.theta)
        theta, optimizer = self.optimizer.update(inner.theta, gradients, inner.optimizer, hyper)
        after = InnerState(list(theta), list(optimizer), output.state)
        return InnerStep(inner, after, output, gradients)

    def run(
        self,
        start: InnerState,
        steps: int | tf.Tensor,
        body: Callable[[tf.Tensor, InnerState, Any], tuple[InnerState, Any]],
        carry: Any = (),
    ) -> tuple[InnerState, Any]:
        r"""Runs the inner loop, $k = 0..K-1$.

        Args:
            start: the state at $k = 0$.
            steps: $K$.
            body: `body(k, inner, carry) -> (inner, carry)`.
            carry: what the body hands from step to step.

        Returns:
            The state at $k = K$ and the last carry.
        """

        def advance(k: tf.Tensor, inner: InnerState, carry: Any) -> tuple[Any, ...]:
            inner, carry = body(k, inner, carry)
            return k + 1, inner, carry

        _, inner, carry = tf.while_loop(
            lambda k, *_: k < steps,
            advance,
            (tf.constant(0), start, carry),
            # XLA wants the bound to be known when it compiles.
            maximum_iterations=steps if isinstance(steps, int) else None,
        )
        return inner, carry


def _compiled(loss: Any, learner: FunctionalLearner) -> CompiledLoss:
    return loss if isinstance(loss, CompiledLoss) else CompiledLoss(loss, learner.model)


def dense_gradient(
    tape: tf.GradientTape, target: Any, sources: Any, output_gradients: Any = None
) -> Any:
    """Returns a tape's gradient with a dense tensor for every source.

    A source that the target does not depend on has a gradient of zeros; the sparse gradient of an
    embedding is made dense, for update rules compute with it and loops carry it. Where losses are
    scaled, what the gradient is computed of is, and the gradient not.

    Args:
        tape: what recorded the computation.
        target: a tensor or a structure of tensors.
        sources: a structure of tensors that the tape watches.
        output_gradients: what multiplies the targets from the left; ones if `None`.
    """
    if not are_scaled():
        return tape_gradient(tape, target, sources, output_gradients)
    if output_gradients is None:
        output_gradients = tf.nest.map_structure(tf.ones_like, target)
    return unscaled(tape_gradient(tape, target, sources, scaled(output_gradients)))


def gradient_along(tape: tf.GradientTape, gradients: Tensors, sources: Any, w: Tensors) -> Any:
    r"""Returns $\partial (g \cdot w)$ of gradients $g$, dense, for every source.

    Where losses are scaled, the direction is taken at unit length: it goes through the layers as it
    is, and in half precision a short one would be lost.

    Args:
        tape: what recorded the computation of the gradients.
        gradients: $g$.
        sources: a structure of tensors that the tape watches.
        w: one for each gradient.
    """
    if not are_scaled():
        return dense_gradient(tape, gradients, sources, w)
    length = tf.linalg.global_norm([tf.cast(part, tf.float32) for part in w])
    unit = [tf.math.divide_no_nan(part, tf.cast(length, part.dtype)) for part in w]
    found = dense_gradient(tape, gradients, sources, unit)
    return tf.nest.map_structure(lambda f: f * tf.cast(length, f.dtype), found)


def tape_gradient(tape: tf.GradientTape, target: Any, sources: Any, output_gradients: Any) -> Any:
    """Returns `dense_gradient` of what is given, whether losses are scaled or not.

    Args:
        tape: what recorded the computation.
        target: a tensor or a structure of tensors.
        sources: a structure of tensors that the tape watches.
        output_gradients: what multiplies the targets from the left; ones if `None`.
    """
    gradients = tape.gradient(
        target,
        sources,
        output_gradients=output_gradients,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return tf.nest.map_structure(tf.convert_to_tensor, gradients)


def take_step(batches: Any, k: tf.Tensor, has_step_axis: bool) -> Any:
    """Returns the batch of step `k`, or the whole set where it serves every step."""
    if not has_step_axis:
        return batches
    return tf.nest.map_structure(lambda t: tf.gather(t, k), batches)


def whole_set(batches: Any, has_step_axis: bool) -> Any:
    """Returns all examples of a part of a task, `[N, ...]`, of all its steps.

    Args:
        batches: the part, `[B, ...]`, or `[K, B, ...]` where it has a step axis.
        has_step_axis: whether it has.
    """
    if not has_step_axis:
        return batches
    return tf.nest.map_structure(lambda t: tf.reshape(t, [-1, *t.shape[2:]]), batches)
