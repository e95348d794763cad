"""Which tensors of a function differ between tasks."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from warptf.vectorized.registry import function_graph, outputs_of

# The shape of a tensor is the same for all tasks, and so is what is made of the shape alone.
_OF_SHAPES = {
    "Shape",
    "ShapeN",
    "Size",
    "Rank",
    "ZerosLike",
    "OnesLike",
    "TensorListLength",
    "TensorListElementShape",
}
# TensorFlow makes lists of these with room for the values of all tasks.
_OF_ALL_TASKS = {"TensorListReserve"}

Visit = Callable[[tf.Operation, bool], None]


def differing_outputs(
    graph: Any, count: int, differing: Sequence[bool], visit: Visit | None = None
) -> list[bool]:
    """Returns which outputs of a function differ between tasks.

    Args:
        graph: the graph of the function.
        count: how many outputs it has.
        differing: which of its inputs differ.
        visit: is told of each operation, in the functions that it calls too, and whether one of its
            inputs differs.
    """
    # TensorFlow has several objects for one tensor, but one name.
    found = dict(zip((tensor.name for tensor in graph.inputs), differing, strict=True))
    for operation in graph.get_operations():
        if operation.type == "Placeholder":
            continue
        given = [found.get(tensor.name, False) for tensor in operation.inputs]
        if visit is not None:
            visit(operation, any(given))
        results = _results(operation, given, visit)
        found |= dict(zip((t.name for t in operation.outputs), results, strict=True))
    return [found.get(tensor.name, False) for tensor in outputs_of(graph, count)]


def differing_in_loop(operation: tf.Operation, given: Sequence[bool]) -> tuple[list[bool], bool]:
    """Returns which variables of a loop differ between tasks, and whether its length does.

    Args:
        operation: the `While`.
        given: which of its inputs differ.
    """
    body, cond = (function_graph(operation, name) for name in ("body", "cond"))
    differing = list(given)
    while True:
        after = differing_outputs(body, len(differing), differing)
        merged = [a or b for a, b in zip(differing, after, strict=True)]
        if merged == differing:
            break
        differing = merged
    ends_differ = differing_outputs(cond, 1, differing)[0]
    if ends_differ:
        # What the loop has computed when it ends differs, unless it is only passed through.
        passed = passed_through(body)
        differing = [d or i not in passed for i, d in enumerate(differing)]
    return differing, ends_differ


def passed_through(body: Any) -> set[int]:
    """Returns the variables that a loop's body returns as they are.

    Args:
        body: the graph of the body.
    """
    pairs = enumerate(zip(body.inputs, body.outputs, strict=False))
    return {index for index, (given, returned) in pairs if given is returned}


def called_graphs(operation: tf.Operation) -> Iterator[tuple[str, Any]]:
    """Yields attribute and graph of each function that an operation calls, but for lists of such.

    Args:
        operation: the operation.
    """
    for attribute in ("cond", "body", "then_branch", "else_branch", "f"):
        if attribute in operation.node_def.attr:
            value = operation.node_def.attr[attribute]
            if value.HasField("func"):
                yield attribute, function_graph(operation, attribute)


def _results(operation: tf.Operation, given: list[bool], visit: Visit | None) -> list[bool]:
    count = len(operation.outputs)
    if operation.type in _OF_SHAPES and operation.outputs[0].dtype != tf.variant:
        return [False] * count
    if operation.type in _OF_ALL_TASKS:
        return [True] * count
    if operation.type in ("While", "StatelessWhile"):
        differing, _ = differing_in_loop(operation, given)
        if visit is not None:
            for name, outputs in (("cond", 1), ("body", count)):
                differing_outputs(function_graph(operation, name), outputs, differing, visit)
        return differing
    if operation.type in ("If", "StatelessIf"):
        graphs = [function_graph(operation, name) for name in ("then_branch", "else_branch")]
        branches = [differing_outputs(graph, count, given[1:], visit) for graph in graphs]
        return [given[0] or any(each) for each in zip(*branches, strict=True)]
    if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
        return differing_outputs(function_graph(operation, "f"), count, given, visit)
    return [any(given)] * count
