"""Resizing of images that is differentiable to any order."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Kept, for the name in TensorFlow is replaced while layers are called.
_resize = tf.image.resize

NEAREST, BILINEAR, AREA = (
    getattr(tf.image.ResizeMethod, name) for name in ("NEAREST_NEIGHBOR", "BILINEAR", "AREA")
)


def resize(
    images: Any,
    size: Any,
    method: Any = BILINEAR,
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
) -> tf.Tensor:
    r"""Resizes images as `tf.image.resize` does, differentiable to any order.

    Whatever the method, each channel of the result is linear in that of the image, $Y = R_h X
    R_w^\top$, so that the derivative is its transpose, and the derivative of that the resizing
    itself. TensorFlow declares the second not differentiable for bilinear resizing, which drops
    it in silence, and has none for the other methods; of `"area"` it lacks the first as well, and
    of some types for some methods. Values, and first derivatives where there are any, are the same.

    Args:
        images: `[B, height, width, C]` or `[height, width, C]`.
        size: the new height and width.
        method: one of `tf.image.ResizeMethod`.
        preserve_aspect_ratio: as for `tf.image.resize`.
        antialias: as for `tf.image.resize`.
        name: as for `tf.image.resize`.

    Example:
        >>> from warptf.layers.resize import resize
        >>> resize([[[0.0], [4.0]]], (1, 4))[0, :, 0].numpy().tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    images = tf.convert_to_tensor(images)

    def original(x: tf.Tensor) -> tf.Tensor:
        return _resize(x, size, method, preserve_aspect_ratio, antialias, name)

    if not images.dtype.is_floating:
        return original(images)
    if method == AREA:
        return _linear(original, _area_transpose)(images)
    if method != NEAREST and (antialias or method != BILINEAR):
        # In single precision the values are the same, and there is a derivative.
        images = tf.cast(images, tf.float32)

    def transpose(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = original(x)
        return tape.gradient(y, x, output_gradients=dy)

    return _linear(original, transpose)(images)


def _linear(function: Any, transpose: Any) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a linear function with the derivative that its transpose gives.

    Args:
        function: `function(x)`, linear.
        transpose: `transpose(x, dy)`, the transposed function of `dy`, `x` giving the shape.
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor) -> Any:
        shaped = tf.stop_gradient(x)

        @tf.custom_gradient
        def backward(dy: tf.Tensor) -> Any:
            return transpose(shaped, dy), forward

        return function(x), backward

    return forward


def _area_transpose(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Returns the transpose of resizing by areas, for which TensorFlow has no operation."""
    rows, columns = (_area_matrix(x, dy, axis) for axis in (-3, -2))
    return tf.cast(tf.einsum("rh,...rsc,sw->...hwc", rows, dy, columns), x.dtype)


def _area_matrix(x: tf.Tensor, dy: tf.Tensor, axis: int) -> tf.Tensor:
    """Returns the matrix by which an axis is resized, `[new, old]`, a unit vector per channel."""
    old, new = tf.shape(x)[axis], tf.shape(dy)[axis]
    units = tf.eye(old, dtype=dy.dtype)[tf.newaxis, :, tf.newaxis, :]
    return _resize(units, tf.stack([new, 1]), AREA)[0, :, 0, :]
