"""Loops, conditions and calls of functions, batched over tasks."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.vectorized.convolution_form import chosen_form
from warptf.vectorized.dependence import (
    called_graphs,
    differing_in_loop,
    differing_outputs,
    passed_through,
)
from warptf.vectorized.layout import folded_images, unfolded_images
from warptf.vectorized.registry import (
    Conversion,
    Refusal,
    Wrapped,
    converted_graph,
    is_list,
    outputs_of,
    task_count,
    wrapped,
)
from warptf.vectorized.stacking import stacked
from warptf.vectorized.tensor_lists import empty_list


def convert_call(conversion: Conversion) -> list[Wrapped]:
    """Writes the called function out in place of the call.

    Args:
        conversion: the `PartitionedCall`.
    """
    graph = dict(called_graphs(conversion.op))["f"]
    outputs = outputs_of(graph, len(conversion.outputs))
    return converted_graph(graph, conversion.inputs, outputs, task_count(conversion))


def convert_condition(conversion: Conversion) -> list[Wrapped]:
    """Takes the branch of the condition, or where it differs between tasks, both and selects.

    Args:
        conversion: the `If`.
    """
    condition, inputs = conversion.inputs[0], conversion.inputs[1:]
    tasks, count = task_count(conversion), len(conversion.outputs)
    graphs = [dict(called_graphs(conversion.op))[n] for n in ("then_branch", "else_branch")]
    given = [value.is_stacked for value in inputs]
    branches = [differing_outputs(graph, count, given) for graph in graphs]
    differing = [condition.is_stacked or any(each) for each in zip(*branches, strict=True)]

    def branch(graph: Any) -> list[tf.Tensor]:
        found = converted_graph(graph, inputs, outputs_of(graph, count), tasks)
        return _as_said(found, differing, tasks)

    if not condition.is_stacked:
        chosen = tf.cond(condition.t, lambda: branch(graphs[0]), lambda: branch(graphs[1]))
    elif any(is_list(output) for output in conversion.outputs):
        raise Refusal("has a condition that differs between tasks and returns lists of tensors")
    else:
        pairs = zip(branch(graphs[0]), branch(graphs[1]), strict=True)
        chosen = [_select(condition.t, one, other) for one, other in pairs]
    return [wrapped(t, d) for t, d in zip(chosen, differing, strict=True)]


def convert_loop(conversion: Conversion) -> list[Wrapped]:
    """Runs the loop of all tasks as one; tasks that have ended keep their values.

    TensorFlow's own conversion builds the body several times and moves the tasks about at every
    step, for its loops may end at different times.

    Args:
        conversion: the `While`.
    """
    graphs = dict(called_graphs(conversion.op))
    body, cond, tasks = graphs["body"], graphs["cond"], task_count(conversion)
    given = [value.is_stacked for value in conversion.inputs]
    differing, ends_differ = differing_in_loop(conversion.op, given)
    if ends_differ and any(map(is_list, conversion.outputs)):
        raise Refusal("is a loop whose length differs between tasks and that fills lists")
    constant = passed_through(body)
    moving = [index for index in range(len(given)) if index not in constant]
    starts = [_start(conversion, index, differing[index], tasks) for index in range(len(given))]
    # Filters go from step to step as grouped convolutions take them.
    can_fold = [d and not ends_differ for d in differing]
    folded = {i for i in moving if can_fold[i] and _can_fold(starts[i], tasks)}
    shapes = {i: _loop_shape(conversion, i, starts[i], differing[i]) for i in moving}

    def carried(tensor: tf.Tensor, index: int) -> tf.Tensor:
        if index in folded:
            return folded_images(tensor)
        tensor.set_shape(shapes[index])
        return tensor

    def all_variables(variables: Sequence[tf.Tensor]) -> list[Wrapped]:
        values = dict(enumerate(starts))
        for index, tensor in zip(moving, variables, strict=True):
            values[index] = unfolded_images(tensor, tasks) if index in folded else tensor
        return [wrapped(values[index], differing[index]) for index in range(len(given))]

    def goes_on(*variables: tf.Tensor) -> tf.Tensor:
        return converted_graph(cond, all_variables(variables), outputs_of(cond, 1), tasks)[0].t

    def advance(*variables: tf.Tensor) -> list[tf.Tensor]:
        wanted = [body.outputs[index] for index in moving]
        found = converted_graph(body, all_variables(variables), wanted, tasks)
        after = _as_said(found, [differing[index] for index in moving], tasks)
        if ends_differ:
            going = goes_on(*variables)
            after = [_select(going, a, b) for a, b in zip(after, variables, strict=True)]
        return [carried(tensor, index) for tensor, index in zip(after, moving, strict=True)]

    begin = [carried(starts[index], index) for index in moving]
    ended = tf.while_loop(
        lambda *v: tf.reduce_any(goes_on(*v)) if ends_differ else tf.reshape(goes_on(*v), []),
        advance,
        begin,
        shape_invariants=[
            t.shape if i in folded else shapes[i] for i, t in zip(moving, begin, strict=True)
        ],
        parallel_iterations=conversion.get_attr("parallel_iterations"),
    )
    return all_variables(ended)


def _can_fold(tensor: tf.Tensor, tasks: int | tf.Tensor) -> bool:
    """Returns whether a variable of a loop is like the filters of all tasks."""
    is_grouped = chosen_form() != "patches" and isinstance(tasks, int)
    whole = tensor.shape.rank == 5 and tensor.shape.is_fully_defined()
    return is_grouped and whole and tensor.dtype.is_floating and tensor.shape[4] > 1


def _as_said(values: Sequence[Wrapped], differing: Sequence[bool], tasks: Any) -> list[tf.Tensor]:
    """Returns tensors with the axis of the tasks where they are said to have it."""
    found = []
    for value, differs in zip(values, differing, strict=True):
        if value.is_stacked and not differs:
            raise Refusal("computes something different for each task from what is the same")
        found.append(stacked(value, tasks) if differs else value.t)
    return found


def _select(condition: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Returns, for each task, one tensor or the other."""
    shape = tf.concat([tf.shape(condition), tf.ones([one.shape.rank - 1], tf.int32)], 0)
    return tf.where(tf.reshape(condition, shape), one, other)


def _start(conversion: Conversion, index: int, differs: bool, tasks: Any) -> tf.Tensor:
    """Returns what a variable of a loop is at the beginning."""
    value, before = conversion.inputs[index], conversion.op.inputs[index]
    if not differs or value.is_stacked:
        return value.t
    if before.op.type == "EmptyTensorList":
        return empty_list(before.op, tasks)
    return stacked(value, tasks)


def _loop_shape(
    conversion: Conversion, index: int, start: tf.Tensor, differs: bool
) -> tf.TensorShape:
    """Returns the shape of a variable at every step of a loop."""
    output = conversion.outputs[index]
    if is_list(start):
        return tf.TensorShape([])
    shape = output.shape
    return start.shape[:1].concatenate(shape) if differs else shape
