"""Convolutions whose filters differ between tasks."""

import functools
from typing import Any

import tensorflow as tf

from warptf.vectorized import patches
from warptf.vectorized.convolution_form import chosen_form
from warptf.vectorized.layout import (
    folded_images,
    known_fold,
    unfolded_images,
)
from warptf.vectorized.one_by_one import convert_one_by_one
from warptf.vectorized.registry import (
    Conversion,
    Refusal,
    Wrapped,
    converted_by_tensorflow,
    create,
    task_count,
    wrapped,
)
from warptf.vectorized.stacking import folded_input, repeated, stacked
from warptf.vectorized.xla_scope import is_compiled_for_cpu


def convert_convolution(conversion: Conversion) -> list[Wrapped]:
    """Convolves the images of all tasks as one batch, with the tasks as groups of channels.

    Args:
        conversion: the `Conv2D`.
    """
    images, filters = conversion.inputs
    tasks = task_count(conversion)
    if not filters.is_stacked:
        return _by_shared_filter(conversion, images, filters)
    by_patches = chosen_form() == "patches" and patches.is_nhwc(conversion)
    if by_patches and _has_one_group(conversion, 0, 1):
        x, f = stacked(images, tasks), filters.t
        return [wrapped(patches.convolution(x, f, patches.window(conversion)))]
    if not _can_group(conversion, is_gradient=False):
        return convert_one_by_one(conversion)
    if images.is_stacked or not _has_one_group(conversion, 0, 1):
        x = folded_input(images, tasks)
    else:
        # The same images for all tasks: so many more filters.
        x = images.t
    (y,) = create(conversion, [x, folded_images(filters.t)])
    return [wrapped(unfolded_images(y, tasks))]


def convert_gradient_of_images(conversion: Conversion) -> list[Wrapped]:
    """Returns the gradients of the images of all tasks by one grouped convolution.

    Args:
        conversion: the `Conv2DBackpropInput`.
    """
    shape, filters, gradient = conversion.inputs
    if not filters.is_stacked:
        return _by_shared_filter(conversion, gradient, filters)
    tasks = task_count(conversion)
    dy, window = stacked(gradient, tasks), patches.window(conversion)
    if chosen_form() == "patches" and patches.turns(conversion):
        return [wrapped(patches.gradient_of_images(dy, filters.t, window))]
    if chosen_form() == "patches" or not _can_group(conversion):
        return convert_one_by_one(conversion)
    (dx,) = create(
        conversion,
        [
            _times(conversion, 0, shape, tasks),
            folded_images(filters.t),
            folded_images(dy),
        ],
    )
    return [wrapped(unfolded_images(dx, tasks))]


def convert_gradient_of_filters(conversion: Conversion) -> list[Wrapped]:
    """Returns the gradients of the filters of all tasks by one grouped convolution.

    Args:
        conversion: the `Conv2DBackpropFilter`.
    """
    images, shape, gradient = conversion.inputs
    tasks = task_count(conversion)
    dy = stacked(gradient, tasks)
    one_group = _has_one_group(conversion, 0, None)
    if chosen_form() == "patches" and one_group and patches.is_nhwc(conversion):
        x, size = stacked(images, tasks), conversion.outputs[0].shape
        window = patches.window(conversion)
        return [wrapped(patches.gradient_of_filters(x, dy, size, window))]
    if not _can_group(conversion):
        return convert_one_by_one(conversion)
    folds = images.is_stacked or not one_group
    x = folded_input(images, tasks) if folds else images.t
    (df,) = create(conversion, [x, _times(conversion, 1, shape, tasks), folded_images(dy)])
    return [wrapped(unfolded_images(df, tasks))]


def _by_shared_filter(conversion: Conversion, images: Wrapped, filters: Wrapped) -> Any:
    """Goes over images by filters that are the same for all tasks.

    Where the images are folded already, they stay so and the filters are repeated; in the form
    `"mixed"`, and where they are not, all images are one batch.
    """
    tasks, folded = task_count(conversion), known_fold(images.t)
    stays = chosen_form() == "groups" and isinstance(tasks, int)
    if folded is None or not stays or not _can_group(conversion):
        return converted_by_tensorflow(conversion)
    of_all = repeated(filters.t, tasks)
    if conversion.op_type == "Conv2D":
        given = [folded, of_all]
    else:
        size = _times(conversion, 0, conversion.inputs[0], tasks)
        given = [size, of_all, folded]
    return [wrapped(unfolded_images(create(conversion, given)[0], tasks))]


def _times(conversion: Conversion, index: int, shape: Wrapped, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns a shape that an operation is given, with the last axis that of all tasks."""
    if shape.is_stacked:
        raise Refusal("has an output whose shape differs between tasks")
    known = tf.get_static_value(conversion.op.inputs[index])
    if known is not None and isinstance(tasks, int):
        return tf.constant([*known[:3], known[3] * tasks], tf.int32)
    size = tf.unstack(shape.t, 4)
    return tf.stack([*size[:3], size[3] * tasks])


def _has_one_group(conversion: Conversion, images: int, filters: int | None) -> bool:
    """Returns whether the filters see all channels of the images."""
    of_images = conversion.op.inputs[images].shape[3]
    filter_ = conversion.outputs[0] if filters is None else conversion.op.inputs[filters]
    return of_images is not None and of_images == filter_.shape[2]


def _can_group(conversion: Conversion, is_gradient: bool = True) -> bool:
    """Returns whether the tasks can be groups of channels here."""
    # XLA compiles grouped convolutions for a CPU to code that is many times slower.
    if conversion.get_attr("data_format") != b"NHWC" or is_compiled_for_cpu():
        return False
    return not is_gradient or _grouped_gradients_run(conversion.outputs[0].dtype.name)


@functools.cache
def _grouped_gradients_run(dtype: str) -> bool:
    """Returns whether kernels for gradients of grouped convolutions are at hand."""
    if tf.config.list_logical_devices("GPU"):
        return True

    # On CPUs oneDNN has such kernels, which take the place of others only in traced functions.
    @tf.function(autograph=False)
    def run(x: tf.Tensor, f: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        settings = {"strides": [1, 1, 1, 1], "padding": "SAME"}
        dx = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=[1, 3, 3, 4], filter=f, out_backprop=x, **settings
        )
        df = tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=[3, 3, 2, 4], out_backprop=x, **settings
        )
        return dx, df

    with tf.init_scope(), tf.device("/CPU:0"):
        try:
            run(tf.ones([1, 3, 3, 4], dtype), tf.ones([3, 3, 2, 4], dtype))
        except tf.errors.OpError:
            return False
    return True
