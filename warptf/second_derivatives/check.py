"""Refuses models whose gradient cannot be differentiated."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.second_derivatives.gradient_walk import GradientWalk, Obstacle
from warptf.second_derivatives.layer_scopes import LayerScopes

Tensors = list[tf.Tensor]


def check_second_derivatives(
    model: keras.Model,
    loss: Callable[..., tf.Tensor],
    loss_and_gradient: Callable[..., tuple[tf.Tensor, Tensors]],
    signature: Sequence[Any],
    by: Sequence[str],
    wanted_by: str,
    remedy: str,
) -> None:
    r"""Checks that TensorFlow can differentiate a model's gradient, and does it right.

    Loss and gradient are traced once and walked from their values back to the sources, as
    differentiating them would go, into loops and functions. Every operation on the way must have a
    derivative, and with respect to every input that depends on the sources, unless it is flat
    (rounding) or its derivative was written by hand (`tf.custom_gradient`), in which case it is
    what it says.

    Args:
        model: the model.
        loss: returns the loss; its first argument is the parameters, a dict of lists.
        loss_and_gradient: returns the loss and its gradient, given the same.
        signature: the specs of their arguments.
        by: which of the parameters the gradient is differentiated by.
        wanted_by: what differentiates the gradient, for the message.
        remedy: what to use instead, for the message.

    Raises:
        ValueError: an operation without a right derivative; the message names its layer.
    """
    try:
        trace = _Trace(model, loss_and_gradient, signature)
    except LookupError:
        # There is not even a gradient to be walked: the loss shows why.
        trace = _Trace(model, loss, signature)
    value, gradient = trace.outputs[:1], trace.outputs[1:]
    if found := trace.obstacles(value, signature[0]):
        raise ValueError(
            f"the gradient of model {model.name!r}, which {wanted_by} differentiates, is wrong "
            f"already: {found}. Use another layer, or have it before the first that is trained."
        )
    if found := trace.obstacles(gradient, by):
        raise ValueError(
            f"{wanted_by} differentiates the gradient of model {model.name!r}, which would come "
            f"out wrong: {found}. Use {remedy}, or another layer."
        )


class _Trace:
    """A function of a model, traced with the places of its layers in the graph."""

    def __init__(self, model: keras.Model, function: Any, signature: Sequence[Any]) -> None:
        self._model, self._scopes = model, LayerScopes(model)
        with self._scopes.watching():
            traced = tf.function(function, autograph=False).get_concrete_function(*signature)
        self._walk = GradientWalk(traced)
        inputs = traced.graph.inputs[: len(tf.nest.flatten(signature[0]))]
        self._parameters = tf.nest.pack_sequence_as(signature[0], inputs)
        self.outputs = traced.graph.outputs

    def obstacles(self, targets: Sequence[tf.Tensor], by: Iterable[str]) -> str:
        """Returns which layers stand between targets and parameters and why, or nothing."""
        found: dict[str, str] = {}
        sources = [tensor for name in by for tensor in self._parameters[name]]
        for obstacle in self._walk.run(sources, targets):
            place, operation = self._place(obstacle), obstacle.operations[-1].type
            found.setdefault(place, f"{place} takes the operation {operation}: {obstacle.reason}")
        return "; ".join(found.values())

    def _place(self, obstacle: Obstacle) -> str:
        found = [self._scopes.layer_of(obstacle.operations)]
        if found == [None]:
            # A derivative that is written by hand stands in no scope, what it belongs to does.
            written = self._walk.written_by_hand(obstacle)
            found = [self._scopes.layer_of([operation]) for operation in written] or [None]
        return " or ".join(dict.fromkeys(self._named(place) for place in found))

    def _named(self, place: tuple[str, keras.layers.Layer] | None) -> str:
        if place is None:
            return "the loss"
        path, layer = place
        if not path:
            return f"model {self._model.name!r} itself"
        return f"layer {path!r} ({type(layer).__name__})"
