"""TensorFlow's own means to batch the operations of a function, which are private."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor as _pfor

from warptf.vectorized.not_vectorizable import NotVectorizable

# An operation that is converted, with its converted inputs.
Conversion = Any
# A converted tensor: `t`, and `is_stacked`, whether it has the axis of the tasks in front.
Wrapped = Any
Converter = Callable[[Conversion], Any]

Refusal = _pfor.ConversionNotImplementedError


class _Scope:
    """Counts the scopes that are open in all threads, for replicas are traced in turns."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.originals: dict[str, Converter] = {}

    def enter(self, converters: Mapping[str, Converter]) -> None:
        known = _pfor._pfor_converter_registry
        with self.lock:
            self.depth += 1
            if self.depth == 1:
                self.originals = dict(known)
                ours = {**known, **converters}
                known.update({name: _named(converter) for name, converter in ours.items()})

    def leave(self) -> None:
        known = _pfor._pfor_converter_registry
        with self.lock:
            self.depth -= 1
            if self.depth == 0:
                known.clear()
                known.update(self.originals)


_SCOPE = _Scope()


def _named(converter: Converter) -> Converter:
    """Returns a converter that says which operation it cannot convert."""

    def convert(conversion: Conversion) -> Any:
        operation = conversion.op
        try:
            # As a list that is kept in the host's memory.
            with tf.device(operation.device or None):
                return converter(conversion)
        except NotVectorizable:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise NotVectorizable(operation.type, operation.name, reason) from error

    return convert


def _not_of_pfor(record: logging.LogRecord) -> bool:
    return not record.pathname.endswith("pfor.py")


@contextlib.contextmanager
def registered(converters: Mapping[str, Converter]) -> Iterator[None]:
    """Has operations converted by other converters than TensorFlow's own, for a while.

    TensorFlow's reports of operations that cannot be converted are left out, since the caller
    reports them by one line.

    Args:
        converters: one for each type of operation.
    """
    logger = tf.get_logger()
    _SCOPE.enter(converters)
    logger.addFilter(_not_of_pfor)
    try:
        yield
    finally:
        logger.removeFilter(_not_of_pfor)
        _SCOPE.leave()


def is_convertible(name: str) -> bool:
    """Returns whether there is a converter for a type of operation.

    Args:
        name: the type.
    """
    return name in _pfor._pfor_converter_registry


def converted_by_tensorflow(conversion: Conversion) -> Any:
    """Returns what TensorFlow's own converter makes of an operation.

    Args:
        conversion: the operation.
    """
    return _SCOPE.originals[conversion.op_type](conversion)


def wrapped(tensor: tf.Tensor, is_stacked: bool = True) -> Wrapped:
    """Returns a tensor as a converted one.

    Args:
        tensor: the tensor.
        is_stacked: whether the axis of the tasks stands in front. Defaults to `True`.
    """
    return _pfor.wrap(tensor, is_stacked)


def task_count(conversion: Conversion) -> int | tf.Tensor:
    """Returns the number of tasks that an operation is batched over.

    Args:
        conversion: the operation.
    """
    vector = conversion.pfor.loop_len_vector
    value = tf.get_static_value(vector)
    return vector[0] if value is None else int(value[0])


def stacked_by_tensorflow(tensor: tf.Tensor, tasks: int | tf.Tensor) -> tf.Tensor:
    """Returns a tensor that is the same for all tasks with the axis of the tasks.

    Args:
        tensor: the tensor, or a list of tensors.
        tasks: number of tasks.
    """
    return _pfor._stack(tensor, tf.reshape(tasks, [1])).t


def create(conversion: Conversion, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the outputs of an operation like a converted one, of other inputs.

    Args:
        conversion: the operation.
        inputs: the inputs.
    """
    dtypes = [output.dtype for output in conversion.outputs]
    attributes = conversion.op.node_def.attr
    return list(_pfor._create_op(conversion.op_type, inputs, dtypes, attributes).outputs)


def is_list(tensor: tf.Tensor) -> bool:
    """Returns whether a tensor is a list of tensors, whose elements are what is stacked.

    Args:
        tensor: the tensor.
    """
    return tensor.dtype == tf.variant


def function_graph(operation: tf.Operation, attribute: str) -> Any:
    """Returns the graph of a function that an operation calls.

    Args:
        operation: the operation.
        attribute: its attribute that names the function.
    """
    name = operation.get_attr(attribute).name
    return operation.graph._get_function(name.encode()).graph


def outputs_of(graph: Any, count: int) -> list[tf.Tensor]:
    """Returns what a function returns; derivatives add to the outputs of its graph.

    Args:
        graph: the graph of the function.
        count: how many outputs the operation that calls it has.
    """
    return list(graph.outputs[:count])


def converted_graph(
    graph: Any,
    inputs: Sequence[Wrapped],
    outputs: Sequence[tf.Tensor],
    tasks: int | tf.Tensor,
) -> list[Wrapped]:
    """Writes a function into the current graph, batched over the tasks.

    Args:
        graph: the graph of the function.
        inputs: converted tensors for its inputs.
        outputs: tensors of the graph that are wanted.
        tasks: number of tasks.

    Returns:
        These tensors, converted.
    """
    number = tf.compat.v1.placeholder_with_default(tf.constant(0), [])
    converter = _pfor.PFor(number, tasks, graph.get_operations(), fallback_to_while_loop=False)
    for inner, outer in zip(graph.inputs, inputs, strict=True):
        converter._add_conversion(inner, outer)
    return [converter._convert_helper(output) for output in outputs]
