"""The sum of an objective's terms along adaptation."""

from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation import Adapted, InnerStep, Start, Tensors
from warptf.reported import reported_dtype


class Terms(NamedTuple):
    r"""Sums over inner steps.

    Attributes:
        loss: of $L_{meta}$ after each step.
        phi: of its gradients in $\phi$.
        hyper: of its gradients in the inner optimizer's learned values.
        moving: of its gradients in what moves, where layers start from the support set; else empty.
    """

    loss: tf.Tensor
    phi: Tensors
    hyper: Tensors
    moving: Tensors


class TermSum:
    """Observes an inner loop and adds up the terms that an objective leaves with its steps.

    Nothing that is differentiated later goes through them.

    Args:
        objective: the name of the objective's class, for messages.
        starts_from_support: whether layers start from the support set, so that a term has a
            gradient in what moves.
    """

    def __init__(self, objective: str, starts_from_support: bool) -> None:
        self._objective = objective
        self._starts_from_support = starts_from_support

    def begin(self, start: Start) -> Terms:
        """Returns zeros."""
        moving = start.state.moving if self._starts_from_support else []
        zeros = tf.nest.map_structure(tf.zeros_like, (start.shared.phi, start.shared.hyper, moving))
        return Terms(tf.zeros([], reported_dtype()), *zeros)

    def observe(self, k: tf.Tensor, step: InnerStep, carry: Terms) -> Terms:
        """Adds a step's term."""
        look = step.terms
        if self._starts_from_support and look.theta_gradient is None:
            raise ValueError(
                f"objective {self._objective} returns no theta_gradient in its Lookahead, which a "
                "head that starts from the support set needs: return one, or use WarpGrad() or "
                "BackpropThroughAdaptation()."
            )
        loss = tf.stop_gradient(look.meta_loss)
        moving = look.theta_gradient if self._starts_from_support else []
        return Terms(
            carry.loss + tf.cast(loss, carry.loss.dtype),
            _added(carry.phi, look.phi_gradient),
            _added(carry.hyper, look.hyper_gradient),
            _added(carry.moving, moving),
        )

    def end(self, adapted: Adapted, carry: Terms) -> Terms:
        """Returns the sums."""
        return carry


def _added(sums: Tensors, terms: Any) -> Tensors:
    return [a + tf.stop_gradient(b) for a, b in zip(sums, terms, strict=True)]
