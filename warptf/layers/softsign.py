"""Softsign that is differentiable to any order."""

from typing import Any

import tensorflow as tf

# Kept, for the name in TensorFlow is replaced while layers are called.
_softsign = tf.nn.softsign


def softsign(features: Any, name: str | None = None) -> tf.Tensor:
    r"""Computes softsign, differentiable to any order.

    $y = x / (1 + |x|)$ with $dy/dx = 1 / (1 + |x|)^2$. TensorFlow's own has no derivative of its
    gradient's operation; values and first derivatives are the same.

    Args:
        features: a tensor of floating-point numbers.
        name: a name for the operation.

    Example:
        >>> from warptf.layers.softsign import softsign
        >>> softsign([-1.0, 0.0, 3.0]).numpy().tolist()
        [-0.5, 0.0, 0.75]
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor) -> Any:
        return _softsign(x, name=name), lambda dy: dy / tf.square(1.0 + tf.abs(x))

    return forward(tf.convert_to_tensor(features))
