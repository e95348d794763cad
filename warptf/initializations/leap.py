"""Leap."""

from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation import Adapted, InnerStep, Start, Tensors
from warptf.initializations.initialization import Initialization


class LeapCarry(NamedTuple):
    r"""What Leap remembers from the step before.

    Attributes:
        total: the gradient gathered so far.
        loss: the loss at $\theta_{k-1}$.
        gradients: its gradient there.
        move: $\Delta\theta_k = \theta_k - \theta_{k-1}$.
    """

    total: Tensors
    loss: tf.Tensor
    gradients: Tensors
    move: Tensors


class Leap(Initialization):
    r"""Leap: shortens the path from $\theta_0$ to where adaptation ends, over the loss surface.

    Along $\vartheta_k = (\theta_k, L_{task}(\theta_k))$ (Eq. 10, 13):
    $\nabla C(\theta_0) = -\frac{1}{|\tau|} \sum_\tau \sum_{k=1}^{K} [\Delta L_k \nabla
    L_{task}(\theta_{k-1}) + \Delta\theta_k] / \|\vartheta_k - \vartheta_{k-1}\|_2$ with
    $\Delta L_k = L_{task}(\theta_k) - L_{task}(\theta_{k-1})$.

    With mini-batches, the loss at $\theta_k$ is the one of step $k$'s batch; the last, at
    $\theta_K$, is taken on the batch of step $K - 1$.

    Args:
        length: whether to minimise the path's length (divide by the norm) rather than its energy
            (do not divide). Defaults to `True`.
        include_loss: whether the path runs over the loss surface (the $\Delta L$ terms) or through
            parameter space alone. Defaults to `True`.
        stabilizer: whether $\Delta L_k \leftarrow -|\Delta L_k|$, so that a rising loss does not
            turn the gradient round. Defaults to `True`.

    Example:
        >>> import warptf
        >>> warptf.initializations.Leap(include_loss=False).get_config()
        {'length': True, 'include_loss': False, 'stabilizer': True}

    Reference:
        Flennerhag et al., Transferring Knowledge across Learning Processes, arXiv 1812.01054;
        arXiv 1909.00025, equations 10 and 13.
    """

    def __init__(
        self, length: bool = True, include_loss: bool = True, stabilizer: bool = True
    ) -> None:
        self.length = bool(length)
        self.include_loss = bool(include_loss)
        self.stabilizer = bool(stabilizer)

    def begin(self, start: Start) -> LeapCarry:
        """Returns zeros: no step precedes the first, and with a zero move its term vanishes."""
        theta = start.shared.theta
        zeros = [tf.zeros_like(t) for t in theta]
        return LeapCarry(zeros, tf.zeros([], _length_type(theta)), zeros, zeros)

    def observe(self, k: tf.Tensor, step: InnerStep, carry: LeapCarry) -> LeapCarry:
        """Adds the term of the step before, which has led to this one's loss."""
        loss = tf.cast(step.loss, carry.loss.dtype)
        move = [b - a for a, b in zip(step.before.theta, step.after.theta, strict=True)]
        return LeapCarry(self._add_term(carry, loss), loss, step.theta_gradients, move)

    def end(self, adapted: Adapted, carry: LeapCarry) -> Tensors:
        """Returns the gradient of the path's length or energy."""
        last_loss = carry.loss
        if self.include_loss:
            batch, shared = adapted.last.task, adapted.start.shared
            last = adapted.problem.loss_at(adapted.final, shared, batch)
            last_loss = tf.cast(last.loss, carry.loss.dtype)
        return self._add_term(carry, last_loss)

    def _add_term(self, carry: LeapCarry, loss: tf.Tensor) -> Tensors:
        """Returns the total with the term of the step that has led to `loss`."""
        change = loss - carry.loss if self.include_loss else tf.zeros_like(loss)
        scale = tf.ones_like(loss)
        if self.length:
            squares = [tf.reduce_sum(tf.square(tf.cast(m, loss.dtype))) for m in carry.move]
            scale = tf.math.divide_no_nan(scale, tf.sqrt(tf.add_n([*squares, tf.square(change)])))
        if self.stabilizer:
            change = -tf.abs(change)
        return [
            total - tf.cast(scale, g.dtype) * (tf.cast(change, g.dtype) * g + move)
            for total, g, move in zip(carry.total, carry.gradients, carry.move, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "length": self.length,
            "include_loss": self.include_loss,
            "stabilizer": self.stabilizer,
        }


def _length_type(theta: Tensors) -> tf.DType:
    """Returns the type that lengths are computed in: single precision at least."""
    return tf.float64 if any(t.dtype == tf.float64 for t in theta) else tf.float32
