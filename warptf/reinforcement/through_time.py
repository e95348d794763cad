"""Backpropagation through the steps of recorded episodes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.adaptation import tape_gradient
from warptf.loss_scaling import scaled, unscaled
from warptf.partition import FunctionalLearner
from warptf.reinforcement.recurrent_cell import RecurrentCell
from warptf.reinforcement.rollout import Rollout

Tensors = list[tf.Tensor]
LossFunction = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, Any]]


def gradients_through_time(
    learner: FunctionalLearner,
    theta: Sequence[tf.Tensor],
    phi: Sequence[tf.Tensor],
    rollout: Rollout,
    loss: LossFunction,
    segment_steps: int | None = None,
) -> tuple[tf.Tensor, Any, Tensors, Tensors]:
    r"""Returns the loss of recorded episodes and its gradients in $\theta$ and $\phi$.

    The states $s_t$ of the episodes are known. So one pass backwards finds what the loss gains from
    each of them, $\lambda_t = \partial L / \partial s_t$, by $\lambda_{t-1} = (\partial s_t /
    \partial s_{t-1})^\top \lambda_t$ and without any gradient of the weights; and these come of all
    steps at once, $\sum_t (\partial s_t / \partial w)^\top \lambda_t$, as one product for a weight
    matrix in place of `T`. Products with weight matrices that were recorded are not computed again.
    Segments of one step are differentiated once, in states and weights together: faster for cells
    of large states, slower for others.

    Args:
        learner: the functional view of a `RecurrentAgent`.
        theta: the values of $\theta$ with which the episodes were recorded.
        phi: those of $\phi$.
        rollout: the episodes.
        loss: `loss(logits, values)`, of `[T, B, A]` and `[T, B]`, returns the loss, a scalar, and
            whatever else is of interest.
        segment_steps: how many steps' gradients of the weights are computed at once; must divide
            `T`. By default all: fewer take less memory.

    Returns:
        The loss, what came with it, and the gradients in `theta` and `phi`.

    Raises:
        ValueError: `segment_steps` does not divide the number of steps.
    """
    steps = rollout.outputs.shape[0]
    segment = steps if segment_steps is None else segment_steps
    if segment < 1 or steps % segment:
        raise ValueError(f"segment_steps must divide the {steps} steps, got {segment_steps}.")
    sources = [*theta, *phi]
    count = len(theta)
    with learner.scope(theta, phi, learner.initial_state(tf.constant([0, 0]))):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([rollout.outputs, sources])
            value, other = loss(*learner.model.heads(rollout.outputs))
        # What is scaled stays so until the end: on the way back it may be in half precision.
        one = scaled(tf.ones_like(value))
        from_outputs, total = tape_gradient(tape, value, [rollout.outputs, sources], one)
        steps_back = _Backwards(learner.model.cell, rollout, from_outputs, sources, segment)
        costates = [tf.zeros_like(state[0]) for state in rollout.states]
        _, _, total = tf.while_loop(
            lambda done, *_: done < steps // segment,
            steps_back.segment,
            (tf.constant(0), costates, total),
            maximum_iterations=steps // segment,
            parallel_iterations=1,
        )
    total = unscaled(total)
    return value, other, total[:count], total[count:]


class _Backwards:
    """The pass backwards over the steps of a rollout, segment by segment."""

    def __init__(
        self, cell: Any, rollout: Rollout, from_outputs: tf.Tensor, sources: Tensors, segment: int
    ) -> None:
        self._cell, self._sources, self._length = cell, sources, segment
        self._steps, self._episodes = rollout.outputs.shape[:2]
        self._rollout, self._from_outputs = rollout, from_outputs
        self._transposed: dict[int, tf.Tensor] = {}

    def segment(
        self, done: tf.Tensor, costates: Tensors, total: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """Goes back over one segment, adding the gradients of the weights to the total."""
        begin = self._steps - (done + 1) * self._length
        parts = [self._rollout.observations, self._from_outputs]
        x, from_outputs = (self._cut(part, begin) for part in parts)
        states = [self._cut(state, begin) for state in self._rollout.states]
        products = [self._cut(product, begin) for product in self._rollout.products]
        # Made here, outside of the loop over steps, that it be done once.
        self._transposed = self._transposes()
        received = [c[None] for c in costates]
        if self._length > 1:
            costates, received = self._states_pass(x, from_outputs, states, products, costates)
        merged = [_merged(state) for state in states]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([merged, self._sources])
            after = self._advance(
                self._project(_merged(x)),
                merged,
                [_merged(product) for product in products],
                weights=True,
            )
        received = [_merged(part) for part in (from_outputs, *received)]
        if self._length > 1:
            parts = tape_gradient(tape, after, self._sources, received)
        else:
            costates, parts = tape_gradient(tape, after, [merged, self._sources], received)
        return done + 1, costates, [a + b for a, b in zip(total, parts, strict=True)]

    def _states_pass(
        self,
        x: tf.Tensor,
        from_outputs: tf.Tensor,
        states: Tensors,
        products: Tensors,
        costates: Tensors,
    ) -> tuple[Tensors, Tensors]:
        """Returns the loss's gradients in the states before the segment and after each step."""
        projected = [self._split(part) for part in self._project(_merged(x))]
        received = [tf.TensorArray(c.dtype, self._length, element_shape=c.shape) for c in costates]

        def body(done: tf.Tensor, costates: Tensors, received: Any) -> Any:
            t = self._length - 1 - done
            received = [array.write(t, c) for array, c in zip(received, costates, strict=True)]
            before = [state[t] for state in states]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(before)
                after = self._advance(
                    [part[t] for part in projected],
                    before,
                    [product[t] for product in products],
                    weights=False,
                )
            costates = tape_gradient(tape, after, before, [from_outputs[t], *costates])
            return done + 1, costates, received

        _, costates, received = tf.while_loop(
            lambda done, *_: done < self._length,
            body,
            (tf.constant(0), costates, received),
            maximum_iterations=self._length,
            parallel_iterations=1,
        )
        return costates, [array.stack() for array in received]

    def _project(self, x: tf.Tensor) -> Tensors:
        if not isinstance(self._cell, RecurrentCell):
            return [x]
        return self._cell.project(tf.cast(x, self._cell.compute_dtype))

    def _advance(
        self, projected: Tensors, states: Tensors, products: Tensors, weights: bool
    ) -> Tensors:
        """Returns the output and the states after a step."""
        if not isinstance(self._cell, RecurrentCell):
            output, after = self._cell(projected[0], states)
            return [output, *tf.nest.flatten(after)]
        known = iter(products)

        def product(x: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
            transposed = self._transposed[id(kernel)]
            return _known_product(x, self._cell.value_of(kernel), next(known), transposed, weights)

        after = self._cell.advance(projected, states, product)
        return [after[0], *after]

    def _transposes(self) -> dict[int, tf.Tensor]:
        if not isinstance(self._cell, RecurrentCell):
            return {}
        matrices = [v for v in self._cell.trainable_variables if len(v.shape) == 2]
        return {id(v): tf.transpose(self._cell.value_of(v)) for v in matrices}

    def _cut(self, part: tf.Tensor, begin: tf.Tensor) -> tf.Tensor:
        """Returns the segment's steps of `[T, ...]`."""
        size = (self._length, *part.shape[1:])
        return tf.ensure_shape(tf.slice(part, [begin, *[0] * (len(size) - 1)], size), size)

    def _split(self, part: tf.Tensor) -> tf.Tensor:
        return tf.reshape(part, (self._length, self._episodes, *part.shape[1:]))


def _merged(part: tf.Tensor) -> tf.Tensor:
    """Returns `[T, B, ...]` as `[T B, ...]`."""
    return tf.reshape(part, (-1, *part.shape[2:]))


def _known_product(
    x: tf.Tensor, kernel: tf.Tensor, product: tf.Tensor, transposed: tf.Tensor, weights: bool
) -> tf.Tensor:
    """Returns a product that is known already, with the gradients of `x @ kernel`.

    Args:
        x: `[N, rows]`.
        kernel: `[rows, columns]`.
        product: their product.
        transposed: `kernel`'s transpose, made once for many steps.
        weights: whether a gradient in `kernel` is needed.
    """

    @tf.custom_gradient
    def known(x: tf.Tensor, kernel: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
            in_kernel = tf.matmul(x, upstream, transpose_a=True) if weights else None
            return tf.matmul(upstream, transposed), in_kernel

        return tf.identity(product), gradient

    return known(x, kernel)
