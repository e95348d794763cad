"""What is the same for all tasks, repeated for each of them."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from warptf.vectorized.layout import constant, folded_images, made_once
from warptf.vectorized.registry import Wrapped, is_list, stacked_by_tensorflow

# What only changes the shape of its first input.
_SAME_ENTRIES = ("ExpandDims", "Identity", "Reshape", "Squeeze")


def stacked(value: Wrapped, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns a converted tensor with the axis of the tasks.

    Args:
        value: the tensor, repeated for each task where it is the same for all.
        tasks: number of tasks.
    """
    if value.is_stacked:
        return value.t
    shape = value.t.shape
    if isinstance(tasks, int) and shape.is_fully_defined() and not is_list(value.t):
        return _spread(value.t, [tasks, *shape], [tasks, *shape], tf.broadcast_to)
    return stacked_by_tensorflow(value.t, tasks)


def folded_input(value: Wrapped, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns images or filters of all tasks in the folded layout.

    Args:
        value: those of each task, or those that are the same for all.
        tasks: number of tasks.
    """
    if value.is_stacked or not isinstance(tasks, int):
        return folded_images(stacked(value, tasks))
    return repeated(value.t, tasks)


def repeated(x: tf.Tensor, tasks: int) -> tf.Tensor:
    """Returns a tensor whose last axis is repeated for each task.

    Args:
        x: the tensor, the same for all tasks.
        tasks: number of tasks.
    """
    x = _out_of_loops(x)
    shape = x.shape
    larger = [*shape[:-1], tasks * shape[-1]] if shape.is_fully_defined() else None
    return _spread(x, [1] * (shape.rank - 1) + [tasks], larger, tf.tile)


def _spread(
    x: tf.Tensor,
    values: Sequence[int],
    shape: Sequence[int] | None,
    make: Callable[[tf.Tensor, Any], tf.Tensor],
) -> tf.Tensor:
    """Returns `make(x, values)`, a constant where all entries are one known number."""

    def spread() -> tf.Tensor:
        known = None if shape is None or x.dtype == tf.string else tf.get_static_value(x)
        # Where it is made: out of a loop that only uses it.
        with x.graph.as_default():
            if known is None or (known.size and (known != known.flat[0]).any()):
                return make(x, constant(list(values)))
            entry = known.flat[0] if known.size else 0
            with tf.control_dependencies(None):
                return tf.constant(entry, x.dtype, shape)

    return made_once((make.__name__, x.ref(), *values), spread)


def _out_of_loops(x: tf.Tensor) -> tf.Tensor:
    """Returns a tensor that only has another shape than one from outside of a loop, made there."""
    source = x
    while source.op.type in _SAME_ENTRIES:
        source = source.op.inputs[0]
    # TensorFlow has several objects for one tensor, but one name.
    outside = {inner.name: outer for outer, inner in getattr(x.graph, "captures", ())}
    outer = outside.get(source.name)
    is_eager = isinstance(outer, tf.__internal__.EagerTensor)
    if outer is None or is_eager or not x.shape.is_fully_defined():
        return x
    with outer.graph.as_default():
        return _out_of_loops(tf.reshape(outer, x.shape))
