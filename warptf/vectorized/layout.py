"""Images of all tasks as one batch whose channels are those of all tasks."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

Size = Any  # an integer, or a tensor where it is not known

# What was folded and unfolded in a vectorised function, so that no tensor is twice.
_memory: contextvars.ContextVar[dict[Any, tf.Tensor] | None] = contextvars.ContextVar(
    "folded_images", default=None
)


@contextlib.contextmanager
def remembering_layouts() -> Iterator[None]:
    """Remembers within which tensors are others in the other layout."""
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def folded_images(x: tf.Tensor) -> tf.Tensor:
    """Returns images `[T, B, height, width, C]` as `[B, height, width, T * C]`.

    Or filters `[T, kh, kw, C, O]` as `[kh, kw, C, T * O]`.

    Args:
        x: the images or filters.
    """
    found = known_fold(x)
    if found is not None:
        return found
    # Where the images are made: out of a loop that only uses them.
    with x.graph.as_default():
        tasks, batch, height, width, channels = sizes(x)
        by_channel = tf.transpose(x, constant([1, 2, 3, 0, 4]))
        shape = constant(shape_of([batch, height, width, tasks * channels]))
        folded = tf.reshape(by_channel, shape)
        _remember(x, folded)
    return folded


def unfolded_images(y: tf.Tensor, tasks: Size) -> tf.Tensor:
    """Returns images `[B, height, width, T * C]` as `[T, B, height, width, C]`.

    Or filters `[kh, kw, C, T * O]` as `[T, kh, kw, C, O]`.

    Args:
        y: the images or filters.
        tasks: number of tasks `T`.
    """
    batch, height, width, channels = sizes(y)
    own = channels // tasks
    by_task = tf.reshape(y, constant(shape_of([batch, height, width, tasks, own])))
    x = tf.transpose(by_task, constant([3, 0, 1, 2, 4]))
    _remember(x, y)
    return x


def known_fold(x: tf.Tensor) -> tf.Tensor | None:
    """Returns what images or filters are in the folded layout, if that is known here.

    Args:
        x: the images or filters of all tasks.
    """
    memory = _memory.get() or {}
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        if (id(graph), x.ref()) in memory:
            return memory[id(graph), x.ref()]
        graph = getattr(graph, "outer_graph", None)
    return None


def sizes(x: tf.Tensor) -> list[Size]:
    """Returns the sizes of a tensor's axes, as integers where they are known.

    Args:
        x: the tensor.
    """
    if x.shape.is_fully_defined():
        return list(x.shape)
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape)]


def shape_of(values: list[Size]) -> Any:
    """Returns sizes as a shape to give to `tf.reshape`, constant where at most one is unknown.

    Args:
        values: the sizes.
    """
    unknown = [value for value in values if not isinstance(value, int)]
    if len(unknown) > 1:
        return tf.stack(values)
    return [value if isinstance(value, int) else -1 for value in values]


def constant(values: Any) -> Any:
    """Returns integers as a tensor of this graph, the same one each time.

    Args:
        values: the integers; what is no list is returned as it is.
    """
    if _memory.get() is None or not isinstance(values, list):
        return values

    def make() -> tf.Tensor:
        with tf.control_dependencies(None):
            return tf.constant(values, tf.int32)

    return made_once((id(tf.compat.v1.get_default_graph()), *values), make)


def made_once(key: tuple[Any, ...], make: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Returns a tensor that is made where it is asked for first.

    Args:
        key: what it is, and of what.
        make: a function that makes it.
    """
    memory = _memory.get()
    if memory is None:
        return make()
    if key not in memory:
        memory[key] = make()
    return memory[key]


def _remember(x: tf.Tensor, folded: tf.Tensor) -> None:
    memory = _memory.get()
    if memory is not None:
        memory[id(folded.graph), x.ref()] = folded
