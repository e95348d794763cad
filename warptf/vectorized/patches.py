"""Convolutions of all tasks as batched matrix products."""

from typing import NamedTuple

import tensorflow as tf

from warptf.vectorized.layout import shape_of, sizes
from warptf.vectorized.registry import Conversion


class Window(NamedTuple):
    """How a convolution goes over its images.

    Attributes:
        strides: for each axis of the images.
        rates: distances between what a filter sees, for each axis.
        padding: `"SAME"`, `"VALID"` or `"EXPLICIT"`.
    """

    strides: list[int]
    rates: list[int]
    padding: str


def window(conversion: Conversion) -> Window:
    """Returns how a convolution goes over its images.

    Args:
        conversion: the convolution.
    """
    return Window(
        list(conversion.get_attr("strides")),
        list(conversion.get_attr("dilations")),
        conversion.get_attr("padding").decode(),
    )


def convolution(x: tf.Tensor, f: tf.Tensor, over: Window) -> tf.Tensor:
    """Returns the convolution of each task's images and filters.

    Args:
        x: images `[T, B, height, width, C]`.
        f: filters `[T, kh, kw, C, O]`.
        over: how the filters go over the images.
    """
    tasks, kh, kw, channels, outputs = sizes(f)
    seen, (batch, height, width) = _seen(x, (kh, kw), over)
    flat = tf.reshape(f, shape_of([tasks, kh * kw * channels, outputs]))
    y = tf.matmul(seen, flat)
    return tf.reshape(y, shape_of([tasks, batch, height, width, outputs]))


def is_nhwc(conversion: Conversion) -> bool:
    """Returns whether the images of a convolution can be cut into patches.

    Args:
        conversion: the convolution.
    """
    is_explicit = conversion.get_attr("padding") == b"EXPLICIT"
    return conversion.get_attr("data_format") == b"NHWC" and not is_explicit


def turns(conversion: Conversion) -> bool:
    """Returns whether the gradient of the images is a convolution with turned filters.

    Args:
        conversion: the `Conv2DBackpropInput`.
    """
    height, width, channels, _ = conversion.op.inputs[1].shape
    over, images = window(conversion), conversion.outputs[0].shape
    is_whole = images.rank == 4 and images[3] == channels
    odd = height % 2 == 1 and width % 2 == 1
    unit = over.padding == "SAME" and over.strides == [1, 1, 1, 1] == over.rates
    return is_whole and odd and unit and is_nhwc(conversion)


def gradient_of_images(dy: tf.Tensor, f: tf.Tensor, over: Window) -> tf.Tensor:
    """Returns the gradient of each task's images, where `turns`.

    Args:
        dy: gradients of the outputs `[T, B, height, width, O]`.
        f: filters `[T, kh, kw, C, O]`.
        over: how they go over the images.
    """
    turned = tf.transpose(tf.reverse(f, [1, 2]), [0, 1, 2, 4, 3])
    return convolution(dy, turned, over)


def gradient_of_filters(
    x: tf.Tensor, dy: tf.Tensor, size: tf.TensorShape, over: Window
) -> tf.Tensor:
    """Returns the gradient of each task's filters.

    Args:
        x: images `[T, B, height, width, C]`.
        dy: gradients of the outputs `[T, B, height, width, O]`.
        size: `[kh, kw, C, O]`.
        over: how the filters go over the images.
    """
    tasks = sizes(x)[0]
    seen, (batch, height, width) = _seen(x, (size[0], size[1]), over)
    flat = tf.reshape(dy, shape_of([tasks, batch * height * width, size[3]]))
    df = tf.matmul(seen, flat, transpose_a=True)
    return tf.reshape(df, shape_of([tasks, *size]))


def _seen(
    x: tf.Tensor, size: tuple[int, int], over: Window
) -> tuple[tf.Tensor, tuple[int | tf.Tensor, ...]]:
    """Returns what each output sees, `[T, B * height * width, kh * kw * C]`, and how many."""
    tasks, batch, height, width, channels = sizes(x)
    images = tf.reshape(x, shape_of([tasks * batch, height, width, channels]))
    seen = images
    if size != (1, 1) or over.strides != [1, 1, 1, 1]:
        seen = tf.image.extract_patches(
            images, [1, *size, 1], over.strides, over.rates, over.padding
        )
    _, height, width, depth = sizes(seen)
    flat = tf.reshape(seen, shape_of([tasks, batch * height * width, depth]))
    return flat, (batch, height, width)
