"""What stands in the way of differentiating a graph, found by walking it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.second_derivatives.operation_gradient import OperationGradients, is_differentiable

Mask = tuple[bool, ...]

# Operations that call functions: the attributes that name those, and the first input handed on.
_CALLS = {
    "PartitionedCall": (("f",), 0),
    "StatefulPartitionedCall": (("f",), 0),
    "While": (("body",), 0),
    "StatelessWhile": (("body",), 0),
    "If": (("then_branch", "else_branch"), 1),
    "StatelessIf": (("then_branch", "else_branch"), 1),
    "Case": (("branches",), 1),
    "StatelessCase": (("branches",), 1),
}


class Obstacle(NamedTuple):
    """An operation on the way from the sources to the targets without a right derivative.

    Attributes:
        operations: the operation, after those that call the functions that it stands in.
        reason: what is wrong with its derivative.
    """

    operations: tuple[Any, ...]
    reason: str


class GradientWalk:
    """Walks a traced function as differentiating it would, into loops, branches and calls.

    Args:
        function: the concrete function.
    """

    def __init__(self, function: Any) -> None:
        self.graph = function.graph
        self.obstacles: list[Obstacle] = []
        self._gradients = OperationGradients()
        self._functions: dict[str, Any] = {}
        self._collect(function.inference_fn)
        # Known before anything is asked, since that has TensorFlow put other functions in place.
        graphs = (self.graph, *self._functions.values())
        calls = (op for graph in graphs for op in graph.get_operations() if op.type in _CALLS)
        self._called = {op: [self._functions[name] for name in _function_names(op)] for op in calls}

    def _collect(self, function: Any) -> None:
        for child in function.children:
            name = tf.compat.as_str(child.name)
            if name not in self._functions:
                self._functions[name] = child.graph
                self._collect(child)

    def run(self, sources: Sequence[tf.Tensor], targets: Sequence[tf.Tensor]) -> list[Obstacle]:
        """Returns what stands between tensors of the graph, each operation once.

        Args:
            sources: what is differentiated by.
            targets: what is differentiated.
        """
        self.obstacles = []
        dependent = self._forward(self.graph, {t.name for t in sources})
        self._backward(self.graph, dependent, {t.name for t in targets}, ())
        found = {tuple(op.name for op in o.operations): o for o in self.obstacles}
        return list(found.values())

    def written_by_hand(self, obstacle: Obstacle) -> list[Any]:
        """Returns the custom gradients that an obstacle may be a part of.

        Args:
            obstacle: what `run` returned.
        """
        kind = obstacle.operations[-1].type
        return [operation for operation, made in self._gradients.made if kind in made]

    def _forward(self, graph: Any, sources: set[str]) -> set[str]:
        """Returns the names of the tensors that depend on the sources, these among them."""
        found = set(sources)
        for operation in graph.get_operations():
            inputs = tuple(t.name in found for t in operation.inputs)
            if not any(inputs):
                continue
            outputs = self._called_forward(operation, inputs)
            for tensor, depends in zip(operation.outputs, outputs, strict=True):
                if depends and is_differentiable(tensor):
                    found.add(tensor.name)
        return found

    def _called_forward(self, operation: Any, inputs: Mask) -> Mask:
        if operation.type not in _CALLS:
            return (True,) * len(operation.outputs)
        functions, mask = self._called[operation], inputs[_CALLS[operation.type][1] :]
        loops = operation.type in ("While", "StatelessWhile")
        while True:
            reached = [self._function_forward(function, mask) for function in functions]
            outputs = tuple(any(column) for column in zip(*reached, strict=True))
            if not loops:
                return outputs
            # What goes round a loop depends on what has come out of it.
            grown = tuple(a or b for a, b in zip(mask, outputs, strict=True))
            if grown == mask:
                return mask
            mask = grown

    def _function_forward(self, graph: Any, mask: Mask) -> Mask:
        sources = {t.name for t, depends in zip(graph.inputs, mask, strict=True) if depends}
        found = self._forward(graph, sources)
        return tuple(t.name in found for t in graph.outputs)

    def _backward(
        self, graph: Any, dependent: set[str], targets: set[str], callers: tuple[Any, ...]
    ) -> set[str]:
        """Notes the obstacles on the way back from targets, and returns what it passes."""
        live = targets & dependent
        for operation in reversed(graph.get_operations()):
            outputs = tuple(t.name in live for t in operation.outputs)
            inputs = tuple(t.name in dependent for t in operation.inputs)
            if not any(outputs) or not any(inputs):
                continue
            passed = self._passed(operation, inputs, outputs, callers)
            live |= {t.name for t, p in zip(operation.inputs, passed, strict=True) if p}
        return live

    def _passed(
        self, operation: Any, inputs: Mask, outputs: Mask, callers: tuple[Any, ...]
    ) -> Mask:
        """Returns which inputs the derivative goes on to."""
        if operation.type in _CALLS:
            return self._called_backward(operation, inputs, outputs, callers)
        gradient = self._gradients(operation, inputs, outputs)
        if gradient.obstacle is not None:
            self.obstacles.append(Obstacle((*callers, operation), gradient.obstacle))
        return gradient.passed

    def _called_backward(
        self, operation: Any, inputs: Mask, outputs: Mask, callers: tuple[Any, ...]
    ) -> Mask:
        first = _CALLS[operation.type][1]
        mask, callers = inputs[first:], (*callers, operation)
        loops = operation.type in ("While", "StatelessWhile")
        if loops:
            mask = self._called_forward(operation, inputs)
        while True:
            passed = [
                self._function_backward(f, mask, outputs, callers) for f in self._called[operation]
            ]
            back = tuple(any(column) for column in zip(*passed, strict=True))
            grown = tuple(a or b for a, b in zip(outputs, back, strict=True)) if loops else outputs
            if grown == outputs:
                live = grown if loops else back
                return (False,) * first + tuple(
                    a and b for a, b in zip(live, inputs[first:], strict=True)
                )
            outputs = grown

    def _function_backward(
        self, graph: Any, inputs: Mask, outputs: Mask, callers: tuple[Any, ...]
    ) -> Mask:
        sources = {t.name for t, depends in zip(graph.inputs, inputs, strict=True) if depends}
        targets = {t.name for t, live in zip(graph.outputs, outputs, strict=True) if live}
        live = self._backward(graph, self._forward(graph, sources), targets, callers)
        return tuple(t.name in live for t in graph.inputs)


def _function_names(operation: Any) -> list[str]:
    """Returns the names of the functions that an operation calls."""
    names: list[str] = []
    for attribute in _CALLS[operation.type][0]:
        value = operation.node_def.attr[attribute]
        names += [f.name for f in value.list.func] or [value.func.name]
    return names
