"""Mean and variance whose second derivatives are right."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def moments(
    x: tf.Tensor,
    axes: int | Sequence[int],
    shift: Any = None,
    keepdims: bool = False,
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    r"""Computes mean and variance over axes, differentiable to any order.

    $\mu = \frac{1}{n} \sum_i x_i$ and $\sigma^2 = \frac{1}{n} \sum_i (x_i - \mu)^2$. Unlike
    `tf.nn.moments`, the variance depends on the mean: that one stops the gradient there, which
    leaves values and first derivatives as they are but loses $-2/n^2$ from each entry of the
    Hessian $\partial^2 \sigma^2 / \partial x_i \partial x_j$.

    Args:
        x: the tensor; half precision is summed in single precision.
        axes: the axes to average over.
        shift: accepted and unused, as by `tf.nn.moments`.
        keepdims: whether to keep the averaged axes with size one. Defaults to `False`.
        name: accepted and unused.

    Returns:
        The mean and the variance, of the type of `x`.

    Example:
        >>> from warptf.layers.moments import moments
        >>> [float(value) for value in moments([1.0, 3.0], axes=[0])]
        [2.0, 1.0]
    """
    x = tf.convert_to_tensor(x)
    y = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
    mean = tf.reduce_mean(y, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(y, mean), axes, keepdims=True)
    if not keepdims:
        mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
    return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)
