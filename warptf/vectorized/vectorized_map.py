"""A function of one task, computed for all tasks at once."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from warptf.vectorized.control_flow import convert_call, convert_condition, convert_loop
from warptf.vectorized.convolutions import (
    convert_convolution,
    convert_gradient_of_filters,
    convert_gradient_of_images,
)
from warptf.vectorized.dependence import called_graphs, differing_outputs
from warptf.vectorized.folded_operations import FOLDED_OPERATIONS
from warptf.vectorized.layout import remembering_layouts
from warptf.vectorized.not_vectorizable import NotVectorizable
from warptf.vectorized.one_by_one import DRAWS, convert_one_by_one
from warptf.vectorized.registry import (
    Converter,
    converted_graph,
    is_convertible,
    registered,
    wrapped,
)
from warptf.vectorized.small_operations import SMALL_OPERATIONS
from warptf.vectorized.stacking import stacked
from warptf.vectorized.tensor_lists import TENSOR_LISTS

CONVERTERS: Mapping[str, Converter] = {
    "Conv2D": convert_convolution,
    "Conv2DBackpropInput": convert_gradient_of_images,
    "Conv2DBackpropFilter": convert_gradient_of_filters,
    **FOLDED_OPERATIONS,
    **SMALL_OPERATIONS,
    **TENSOR_LISTS,
    "PartitionedCall": convert_call,
    "StatefulPartitionedCall": convert_call,
    "If": convert_condition,
    "StatelessIf": convert_condition,
    "While": convert_loop,
    "StatelessWhile": convert_loop,
    **dict.fromkeys(DRAWS, convert_one_by_one),
}

# Reading a variable is no side effect; calls of functions are looked into.
_READS = {"ReadVariableOp", "VarHandleOp", "VariableShape", "ResourceGather", "Const"}
_CALLS = {"While", "If", "Case", "StatefulPartitionedCall"}


def vectorized_map(
    function: Callable[[Any], Any], elements: Any, tasks: int | tf.Tensor, signature: Any
) -> Any:
    r"""Maps a function over the first axis of tensors, all at once.

    What `tf.map_fn` computes one after the other; derivatives are to be taken within the function.
    To be called in a function that is traced.

    Args:
        function: a function of a structure like `elements`, without the first axis.
        elements: a structure of tensors `[T, ...]`.
        tasks: number of tasks `T`, an integer where it is known.
        signature: structure of `TensorSpec`s that the function returns.

    Returns:
        Tensors `[T, ...]` in the structure of the signature.

    Raises:
        NotVectorizable: an operation of the function cannot be computed for all tasks at once.

    Example:
        >>> import tensorflow as tf
        >>> from warptf.vectorized import vectorized_map
        >>> @tf.function
        ... def squares(x):
        ...     return vectorized_map(lambda one: one * one, x, 3, tf.TensorSpec([]))
        >>> squares(tf.constant([1.0, 2.0, 3.0])).numpy()
        array([1., 4., 9.], dtype=float32)
    """
    specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape[1:], t.dtype), elements)
    traced = tf.function(function, autograph=False).get_concrete_function(specs)
    graph = traced.graph
    given = map(_symbolic, tf.nest.flatten(elements))
    captured = map(_symbolic, traced.captured_inputs)
    inputs = [*map(wrapped, given), *(wrapped(tensor, False) for tensor in captured)]
    with registered(CONVERTERS), remembering_layouts():
        _check(graph, [value.is_stacked for value in inputs])
        found = converted_graph(graph, inputs, graph.outputs, tasks)
        outputs = [stacked(value, tasks) for value in found]
    return tf.nest.pack_sequence_as(signature, outputs)


def _symbolic(tensor: tf.Tensor) -> tf.Tensor:
    """Returns a tensor as one of the function that is traced."""
    is_value = isinstance(tensor, tf.__internal__.EagerTensor) and tensor.dtype != tf.resource
    return tf.identity(tensor) if is_value else tensor


def _check(graph: Any, differing: list[bool]) -> None:
    """Refuses operations that have effects, or no converter where they differ between tasks."""
    needed = _needed(graph)

    def visit(operation: tf.Operation, differs: bool) -> None:
        if (
            operation.graph is graph
            and operation.name not in needed
            and not _has_effects(operation)
        ):
            return
        if _has_effects(operation):
            reason = "has effects or state of its own, which are for one task after the other"
            raise NotVectorizable(operation.type, operation.name, reason)
        if differs and not is_convertible(operation.type):
            reason = "has no form for all tasks at once"
            raise NotVectorizable(operation.type, operation.name, reason)
        if operation.type == "EmptyTensorList" and _holds_lists(operation):
            reason = "is of a second derivative through a loop within an inner step"
            raise NotVectorizable(operation.type, operation.name, reason)

    differing_outputs(graph, len(graph.outputs), differing, visit)


def _holds_lists(operation: tf.Operation) -> bool:
    return operation.get_attr("element_dtype") == tf.variant


def _has_effects(operation: tf.Operation) -> bool:
    if operation.type in _READS or not operation.op_def.is_stateful:
        return False
    # What calls a function is as stateful as that.
    return operation.type not in _CALLS or not dict(called_graphs(operation))


def _needed(graph: Any) -> set[str]:
    """Returns the names of the operations that a function's outputs are computed from."""
    needed: set[str] = set()
    waiting = [tensor.op for tensor in graph.outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
            waiting += operation.control_inputs
    return needed
