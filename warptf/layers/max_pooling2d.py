"""Max-pooling whose second derivative is fast."""

from typing import Any

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class


class MaxPooling2D(keras.layers.MaxPooling2D):
    r"""Keras' max-pooling with a fast second derivative where windows do not overlap.

    Values and first derivatives are those of `keras.layers.MaxPooling2D`. Its gradient is linear in
    the incoming gradient, and the derivative of that picks entries at the maxima: TensorFlow's own
    kernels for both are slow on CPUs, so they are computed from a mask and average pooling. Other
    settings than square windows next to each other, `"valid"` padding and channels last go Keras'
    way.

    Args:
        *args: as for `keras.layers.MaxPooling2D`.
        **kwargs: as for `keras.layers.MaxPooling2D`.

    Call arguments:
        inputs: `[B, height, width, C]`.

    Example:
        >>> import numpy as np, warptf
        >>> layer = warptf.layers.MaxPooling2D(2)
        >>> layer(np.arange(16, dtype="float32").reshape(1, 4, 4, 1))[0, :, :, 0].numpy()
        array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """

    def call(self, inputs: Any) -> Any:
        """Pools the inputs."""
        size = self.pool_size
        if (
            not isinstance(inputs, tf.Tensor)
            or size != self.strides
            or size[0] != size[1]
            or self.padding != "valid"
            or self.data_format != "channels_last"
        ):
            return super().call(inputs)
        return _max_pool(inputs, size[0])


register_layer_class(MaxPooling2D)


def _max_pool(x: tf.Tensor, size: int) -> tf.Tensor:
    @tf.custom_gradient
    def pool(x: tf.Tensor) -> Any:
        y = tf.nn.max_pool2d(x, size, size, "VALID")
        # Made here and not where gradients are taken: next to the pooling, and not in another loop
        # than it, the kernel that finds the maxima is many times as fast. Times the entries of a
        # window, for the poolings below are averages.
        maxima = float(size * size) * _maxima(x, y, size)
        return y, lambda dy: _spread(dy, maxima, size)

    return pool(x)


def _maxima(x: tf.Tensor, y: tf.Tensor, size: int) -> tf.Tensor:
    """Returns 1 where a window has its maximum, the first of equal ones, and 0 elsewhere."""
    window = [1, size, size, 1]
    return tf.raw_ops.MaxPoolGrad(
        orig_input=x,
        orig_output=y,
        grad=tf.ones_like(y),
        ksize=window,
        strides=window,
        padding="VALID",
    )


def _spread(dy: tf.Tensor, maxima: tf.Tensor, size: int) -> tf.Tensor:
    """Puts each entry of `dy` where its window has its maximum."""
    window = [1, size, size, 1]

    @tf.custom_gradient
    def spread(dy: tf.Tensor) -> Any:
        everywhere = tf.raw_ops.AvgPoolGrad(
            orig_input_shape=tf.shape(maxima),
            grad=dy,
            ksize=window,
            strides=window,
            padding="VALID",
        )
        return maxima * everywhere, lambda u: _pick(u, maxima, size)

    return spread(dy)


def _pick(u: tf.Tensor, maxima: tf.Tensor, size: int) -> tf.Tensor:
    """Takes the entries of `u` where the windows have their maxima, the transpose of `_spread`."""

    @tf.custom_gradient
    def pick(u: tf.Tensor) -> Any:
        picked = tf.nn.avg_pool2d(maxima * u, size, size, "VALID")
        return picked, lambda d: _spread(d, maxima, size)

    return pick(u)
