"""Batch normalization on fused kernels, twice differentiable."""

from typing import Any

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class

_THIRD = (
    "third derivatives of warptf.layers.BatchNormalization: use keras.layers.BatchNormalization"
)


class BatchNormalization(keras.layers.BatchNormalization):
    r"""Keras' batch normalization, computed by TensorFlow's fused kernels with exact derivatives.

    $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$ with the batch's mean and variance
    in training. Arguments, weights and values are those of `keras.layers.BatchNormalization`; the
    first and second derivatives are written out, which makes inner steps and the exact warp
    objective faster. Third derivatives are refused. Inputs that the kernels do not take (other than
    `float32` images with the channels last, masks, `synchronized`, renormalisation) go Keras' way.

    Args:
        *args: as for `keras.layers.BatchNormalization`.
        **kwargs: as for `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: `[B, ..., C]`.
        training: whether to use the batch's statistics and update the moving ones.
        mask: as for `keras.layers.BatchNormalization`.

    Example:
        >>> import numpy as np, warptf
        >>> layer = warptf.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        >>> y = layer(np.arange(8, dtype="float32").reshape(2, 2, 2, 1), training=True)
        >>> abs(float(y.numpy().mean())) < 1e-6
        True

    Reference:
        Ioffe and Szegedy, Batch Normalization, arXiv 1502.03167.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalises the inputs."""
        if not (training and self.trainable) or mask is not None or not self._can_fuse(inputs):
            return super().call(inputs, training=training, mask=mask)
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        outputs, mean, variance = _fused(inputs, gamma, beta, float(self.epsilon))
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _can_fuse(self, inputs: Any) -> bool:
        return (
            isinstance(inputs, tf.Tensor)
            and inputs.dtype == tf.float32
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and not self.synchronized
            and not getattr(self, "renorm", False)
        )


register_layer_class(BatchNormalization)


def _fused(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the normalised batch and, as constants, its mean and biased variance."""

    @tf.custom_gradient
    def forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
        out = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
        )
        count = _count(x)
        # The kernel returns the unbiased variance; it normalises by the biased one, as Keras.
        variance = out.batch_variance * ((count - 1.0) / count)
        reserve = (out.reserve_space_1, out.reserve_space_2, out.reserve_space_3)

        def gradient(dy: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return _fused_gradient(x, dy, gamma, out.batch_mean, variance, reserve, epsilon)

        return (out.y, out.batch_mean, variance), gradient

    outputs, mean, variance = forward(x, gamma, beta)
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance)


def _fused_gradient(
    x: tf.Tensor,
    dy: tf.Tensor,
    gamma: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    reserve: tuple[tf.Tensor, ...],
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the gradients with respect to x, gamma and beta, differentiable once more."""

    def kernel(of_output: tf.Tensor) -> Any:
        return tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=of_output,
            x=x,
            scale=gamma,
            reserve_space_1=reserve[0],
            reserve_space_2=reserve[1],
            reserve_space_3=reserve[2],
            epsilon=epsilon,
            is_training=True,
        )

    @tf.custom_gradient
    def backward(x: tf.Tensor, dy: tf.Tensor, gamma: tf.Tensor) -> Any:
        first = kernel(dy)
        dx, dgamma, dbeta = first.x_backprop, first.scale_backprop, first.offset_backprop

        def gradient(u: tf.Tensor, u_gamma: tf.Tensor, u_beta: tf.Tensor) -> Any:
            second = kernel(u)
            given = (x, dy, u, u_gamma, u_beta, gamma, mean, variance)
            return _second_order(given, (dgamma, dbeta), second, epsilon)

        return (dx, dgamma, dbeta), gradient

    return backward(x, dy, gamma)


def _second_order(given: tuple[tf.Tensor, ...], first: Any, second: Any, epsilon: float) -> Any:
    r"""Pulls cotangents of (dx, dgamma, dbeta) back to (x, dy, gamma).

    With $r = (\sigma^2 + \epsilon)^{-1/2}$, $\hat x = (x - \mu) r$ and the projection $P(z) = z -
    \bar z - \hat x \overline{z \hat x}$, the kernel computes $dx = \gamma r P(dy)$, $d\gamma = n
    \overline{dy \hat x}$ and $d\beta = n \overline{dy}$; `second` holds the same for `u` in place
    of `dy`. $P$ is symmetric, and $\partial \hat x$ along a direction $z$ is $r P(z)$.
    """
    x, dy, u, u_gamma, u_beta, gamma, mean, variance = given
    dgamma, dbeta = first
    count = _count(x)
    r = tf.math.rsqrt(variance + epsilon)
    a, b = dbeta / count, dgamma / count
    u_mean, e = second.offset_backprop / count, second.scale_backprop / count
    s = tf.reduce_mean(u * dy, axis=[0, 1, 2]) - u_mean * a - b * e
    k = u_gamma * r
    of_dy = second.x_backprop + (k * x + (u_beta - k * mean))
    of_p_dy = u_gamma * r - gamma * r * r * e
    of_centred = -(gamma * r * s + of_p_dy * b / r) * r * r
    constant = of_p_dy * a + of_centred * mean
    of_x = of_p_dy * dy - r * b * second.x_backprop + (of_centred * x - constant)
    of_gamma = count * r * s
    return tuple(
        tf.raw_ops.PreventGradient(input=t, message=_THIRD) for t in (of_x, of_dy, of_gamma)
    )


def _count(x: tf.Tensor) -> tf.Tensor:
    """Returns how many entries each channel's statistics are taken over."""
    return tf.cast(tf.size(x) // tf.shape(x)[-1], x.dtype)
