"""Operations on images that stay in the layout of grouped convolutions.

Around each of them the images of all tasks would else be transposed there and back. What no
operation asks for in the other layout is never computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from warptf.vectorized.layout import folded_images, known_fold, unfolded_images
from warptf.vectorized.registry import (
    Conversion,
    Wrapped,
    converted_by_tensorflow,
    create,
    task_count,
    wrapped,
)
from warptf.vectorized.stacking import folded_input, repeated, stacked

# Each entry of what they return comes from one of each input, at the same place.
_BY_ENTRY = (
    "Abs Add AddN AddV2 Cast DivNoNan Elu EluGrad Equal Exp Greater GreaterEqual LeakyRelu "
    "LeakyReluGrad Less LessEqual Log LogicalAnd LogicalNot LogicalOr Maximum Minimum Mul Neg "
    "NotEqual Pow RealDiv Relu Relu6 Relu6Grad ReluGrad Rsqrt RsqrtGrad SelectV2 Selu SeluGrad "
    "Sigmoid SigmoidGrad Sign Softplus SoftplusGrad Softsign Sqrt SqrtGrad Square "
    "SquaredDifference Sub Tanh TanhGrad Xdivy Xlogy"
)


def convert_by_entry(conversion: Conversion) -> Any:
    """Computes with folded images where there are some.

    Args:
        conversion: an operation on each entry.
    """
    tasks, shape = task_count(conversion), conversion.outputs[0].shape
    if not _are_images(conversion, shape, tasks):
        return converted_by_tensorflow(conversion)
    pairs = zip(conversion.inputs, conversion.op.inputs, strict=True)
    given = [_folded(value, own.shape, shape[3], tasks) for value, own in pairs]
    if any(tensor is None for tensor in given):
        return converted_by_tensorflow(conversion)
    (y,) = create(conversion, given)
    return wrapped(unfolded_images(y, tasks))


def convert_unchanged_all(conversion: Conversion) -> list[Wrapped]:
    """Returns what is given as it is.

    Args:
        conversion: an `Identity`, or one of several tensors.
    """
    return list(conversion.inputs)


def convert_pooling(conversion: Conversion) -> Any:
    """Pools folded images, and their gradients.

    Args:
        conversion: the pooling, or the gradient of one.
    """
    tasks, shape = task_count(conversion), conversion.outputs[0].shape
    if not _are_images(conversion, shape, tasks) or conversion.get_attr("data_format") != b"NHWC":
        return converted_by_tensorflow(conversion)
    given = [folded_input(value, tasks) for value in conversion.inputs]
    return wrapped(unfolded_images(create(conversion, given)[0], tasks))


def convert_average_gradient(conversion: Conversion) -> Any:
    """Spreads the gradients of folded images that were averaged.

    Args:
        conversion: the `AvgPoolGrad`.
    """
    shape, gradient = conversion.inputs
    tasks, known = task_count(conversion), tf.get_static_value(conversion.op.inputs[0])
    folded = known_fold(gradient.t) if gradient.is_stacked else None
    if folded is None or known is None or not isinstance(tasks, int) or shape.is_stacked:
        return converted_by_tensorflow(conversion)
    size = tf.constant([*known[:3], known[3] * tasks], tf.int32)
    return wrapped(unfolded_images(create(conversion, [size, folded])[0], tasks))


def convert_normalisation(conversion: Conversion) -> Any:
    """Normalises folded images, each channel of each task by itself.

    Args:
        conversion: the `FusedBatchNormV3`, or its gradient.
    """
    if not conversion.get_attr("is_training") or conversion.get_attr("data_format") != b"NHWC":
        return converted_by_tensorflow(conversion)
    tasks = task_count(conversion)
    given = [
        folded_input(value, tasks) if own.shape.rank == 4 else _of_channels(value, tasks)
        for value, own in zip(conversion.inputs[:5], conversion.op.inputs[:5], strict=True)
    ]
    # What kernels keep for their gradient, if anything, is of all tasks.
    given += [value.t[0] if value.is_stacked else value.t for value in conversion.inputs[5:]]
    images, *others = create(conversion, given)
    count = 4 if conversion.op_type == "FusedBatchNormV3" else 2
    by_task = [wrapped(tf.reshape(t, [tasks, -1])) for t in others[:count]]
    kept = [wrapped(t, False) for t in others[count:]]
    return [wrapped(unfolded_images(images, tasks)), *by_task, *kept]


def convert_bias(conversion: Conversion) -> Any:
    """Adds a bias to each channel of folded images.

    Args:
        conversion: the `BiasAdd`.
    """
    tasks, shape = task_count(conversion), conversion.outputs[0].shape
    if not _are_images(conversion, shape, tasks) or conversion.get_attr("data_format") != b"NHWC":
        return converted_by_tensorflow(conversion)
    images, bias = conversion.inputs
    x = folded_input(images, tasks)
    b = _folded(bias, conversion.op.inputs[1].shape, shape[3], tasks)
    # TensorFlow joins a convolution and the addition of its bias to one kernel, for which there are
    # no groups.
    return wrapped(unfolded_images(x - tf.negative(b), tasks))


def convert_bias_gradient(conversion: Conversion) -> Any:
    """Sums the gradients of each channel of folded images.

    Args:
        conversion: the `BiasAddGrad`.
    """
    folded = known_fold(conversion.stacked_input(0))
    tasks = task_count(conversion)
    if folded is None or conversion.get_attr("data_format") != b"NHWC":
        return converted_by_tensorflow(conversion)
    (gradient,) = create(conversion, [folded])
    return wrapped(tf.reshape(gradient, [tasks, -1]))


def convert_reduction(conversion: Conversion) -> Any:
    """Reduces folded images to a number for each channel.

    Args:
        conversion: a sum or a mean over axes.
    """
    images, axes = conversion.inputs
    known = tf.get_static_value(conversion.op.inputs[1])
    folded = known_fold(images.t) if images.is_stacked and images.t.shape.rank == 5 else None
    if folded is None or known is None or sorted(known.ravel() % 4) != [0, 1, 2]:
        return converted_by_tensorflow(conversion)
    tasks, channels = task_count(conversion), conversion.op.inputs[0].shape[3]
    (found,) = create(conversion, [folded, axes.t])
    kept = [1, 1, 1] if conversion.get_attr("keep_dims") else []
    return wrapped(tf.reshape(found, [tasks, *kept, -1 if channels is None else channels]))


def convert_broadcast(conversion: Conversion) -> Any:
    """Repeats a number for each channel over folded images.

    Args:
        conversion: the `BroadcastTo`.
    """
    (value, _), own = conversion.inputs, conversion.op.inputs[0].shape
    tasks, shape = task_count(conversion), conversion.outputs[0].shape
    whole = shape.rank == 4 and shape.is_fully_defined() and isinstance(tasks, int)
    if not whole or own != [1, 1, 1, shape[3]] or not value.is_stacked:
        return converted_by_tensorflow(conversion)
    y = tf.broadcast_to(
        tf.reshape(value.t, [1, 1, 1, tasks * shape[3]]), [*shape[:3], tasks * shape[3]]
    )
    return wrapped(unfolded_images(y, tasks))


def _are_images(conversion: Conversion, shape: tf.TensorShape, tasks: Any) -> bool:
    """Returns whether an operation has images for input that are known in the folded layout."""
    if shape.rank != 4 or shape[3] is None or not isinstance(tasks, int):
        return False
    return any(
        value.is_stacked and value.t.shape.rank == 5 and known_fold(value.t) is not None
        for value in conversion.inputs
    )


def _folded(value: Wrapped, own: tf.TensorShape, channels: int, tasks: int) -> tf.Tensor | None:
    """Returns an input in the folded layout, or `None` where it does not go into that.

    Args:
        value: the input.
        own: its shape for a single task.
        channels: channels of what is computed.
        tasks: number of tasks.
    """
    if own.rank == 0:
        return _of_scalar(value, channels)
    if own.rank not in (1, 4) or (own[-1] != channels and (value.is_stacked or own[-1] != 1)):
        return None
    if not value.is_stacked:
        if own[-1] != channels:
            return value.t
        return repeated(value.t, tasks)
    if own.rank == 1:
        return tf.reshape(value.t, [tasks * channels])
    if own[:3] == [1, 1, 1]:
        return tf.reshape(value.t, [1, 1, 1, tasks * channels])
    return folded_images(value.t)


def _of_channels(value: Wrapped, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns a number for each channel, for those of all tasks."""
    if not value.is_stacked and isinstance(tasks, int):
        return repeated(value.t, tasks)
    return tf.reshape(stacked(value, tasks), [-1])


def _of_scalar(value: Wrapped, channels: int) -> tf.Tensor:
    if not value.is_stacked:
        return value.t
    return tf.reshape(tf.tile(value.t[:, tf.newaxis], [1, channels]), [-1])


def _all(names: Sequence[str], converter: Callable[[Conversion], Any]) -> dict[str, Any]:
    return dict.fromkeys(names, converter)


FOLDED_OPERATIONS = {
    **_all(_BY_ENTRY.split(), convert_by_entry),
    **_all(("Identity", "IdentityN", "StopGradient"), convert_unchanged_all),
    **_all(("MaxPool", "MaxPoolGrad", "MaxPoolGradGrad", "AvgPool"), convert_pooling),
    "AvgPoolGrad": convert_average_gradient,
    **_all(("FusedBatchNormV3", "FusedBatchNormGradV3"), convert_normalisation),
    "BiasAdd": convert_bias,
    "BiasAddGrad": convert_bias_gradient,
    **_all(("Sum", "Mean"), convert_reduction),
    "BroadcastTo": convert_broadcast,
}
