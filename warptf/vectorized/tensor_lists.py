"""Lists of tensors, each of whose elements is that of all tasks.

TensorFlow's own converters forget the shapes of the elements, on which derivatives of loops depend.
"""

from typing import Any

import tensorflow as tf

from warptf.vectorized.registry import Conversion, Wrapped, create, task_count, wrapped


def convert_from_tensor(conversion: Conversion) -> list[Wrapped]:
    """Makes a list of the entries of a tensor.

    Args:
        conversion: the `TensorListFromTensor`.
    """
    x = conversion.stacked_input(0)
    by_element = tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
    shape = element_shape(conversion.unstacked_input(1), task_count(conversion))
    return [wrapped(create(conversion, [by_element, shape])[0])]


def convert_reserve(conversion: Conversion) -> list[Wrapped]:
    """Makes a list of a given length.

    Args:
        conversion: the `TensorListReserve`.
    """
    shape = element_shape(conversion.unstacked_input(0), task_count(conversion))
    return [wrapped(create(conversion, [shape, conversion.unstacked_input(1)])[0])]


def empty_list(like: tf.Operation, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns an empty list for what differs between tasks.

    Args:
        like: the `EmptyTensorList` of a single task.
        tasks: number of tasks.
    """
    shape, most = (tf.get_static_value(tensor) for tensor in like.inputs)
    return tf.raw_ops.EmptyTensorList(
        element_shape=element_shape(tf.constant(-1 if shape is None else shape, tf.int32), tasks),
        max_num_elements=-1 if most is None else most,
        element_dtype=like.get_attr("element_dtype"),
    )


def convert_element_shape(conversion: Conversion) -> list[Wrapped]:
    """Returns the shape of a single task's elements.

    Args:
        conversion: the `TensorListElementShape`.
    """
    (shape,) = create(conversion, [conversion.stacked_input(0)])
    unknown = tf.equal(tf.rank(shape), 0)
    own = tf.cond(unknown, lambda: shape, lambda: shape[1:])
    own.set_shape(conversion.outputs[0].shape)
    return [wrapped(own, False)]


def element_shape(shape: Any, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns the shape of the elements of all tasks, -1 where an axis or all is unknown.

    Args:
        shape: that of a single task's.
        tasks: number of tasks.
    """
    known = tf.get_static_value(shape)
    if known is not None:
        front = tasks if isinstance(tasks, int) else -1
        return tf.constant(-1 if known.ndim == 0 else [front, *known], shape.dtype)
    if shape.shape.rank == 0:
        return shape
    front = tf.reshape(tf.cast(tasks, shape.dtype), [1])
    return tf.concat([front, shape], 0)


TENSOR_LISTS = {
    "TensorListFromTensor": convert_from_tensor,
    "TensorListReserve": convert_reserve,
    "TensorListElementShape": convert_element_shape,
}
