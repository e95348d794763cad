"""Whether TensorFlow has the derivative of one operation, and what it depends on."""

from typing import Any, NamedTuple

import tensorflow as tf

Mask = tuple[bool, ...]

# Their derivative is zero wherever it exists, or they are there to have none.
_FLAT = frozenset(
    ("Ceil", "Floor", "FloorDiv", "OnesLike", "Rint", "Round", "Sign", "StopGradient", "ZerosLike")
)
# These inputs repeat what others say, and the derivative is taken by the others.
_REDUNDANT = {
    "FusedBatchNormGrad": (3, 4),
    "FusedBatchNormGradV2": (3, 4),
    "FusedBatchNormGradV3": (3, 4, 5),
}
# TensorFlow takes the inverse of the transformation where its transpose is needed.
_APPROXIMATE = frozenset(("ImageProjectiveTransformV2", "ImageProjectiveTransformV3"))

MISSING = "TensorFlow has no derivative of it"
DROPPED = "TensorFlow leaves its derivative out without a word"
APPROXIMATE = "TensorFlow's derivative of it is an approximation"


class OperationGradient(NamedTuple):
    """The derivative of an operation.

    Attributes:
        passed: which inputs it goes on to.
        obstacle: what is wrong with it, or `None`.
    """

    passed: Mask
    obstacle: str | None


class OperationGradients:
    """Asks TensorFlow for the derivatives of operations, once for each sort of them."""

    def __init__(self) -> None:
        self._known: dict[Any, OperationGradient] = {}
        # The types of the operations that a derivative written by hand is made of.
        self.made: list[tuple[Any, set[str]]] = []

    def __call__(self, operation: Any, inputs: Mask, outputs: Mask) -> OperationGradient:
        """Returns the derivative of an operation.

        Args:
            operation: an operation of a graph.
            inputs: which of its inputs depend on what is differentiated by.
            outputs: which of its outputs are differentiated.
        """
        custom = _custom_gradient(operation)
        types = tuple(t.dtype for t in operation.inputs)
        key = (operation.type, custom, types, inputs, outputs)
        if key not in self._known:
            before = len(operation.graph.get_operations())
            self._known[key] = _ask(operation, inputs, outputs, custom is not None)
            if custom is not None:
                made = operation.graph.get_operations()[before:]
                self.made.append((operation, {op.type for op in made}))
        return self._known[key]


def is_differentiable(tensor: tf.Tensor) -> bool:
    """Returns whether derivatives go through a tensor: numbers that vary, and lists of them."""
    return tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype == tf.variant


def _custom_gradient(operation: Any) -> str | None:
    """Returns the name under which `tf.custom_gradient` registered a derivative, if it did."""
    if operation.type != "IdentityN":
        return None
    attributes = operation.node_def.attr
    return attributes["_gradient_op_type"].s if "_gradient_op_type" in attributes else None


def _ask(operation: Any, inputs: Mask, outputs: Mask, custom: bool) -> OperationGradient:
    if operation.type in _APPROXIMATE:
        return OperationGradient(inputs, APPROXIMATE)
    # TensorFlow's lists are its own, and have derivatives; they take no gradients of ones.
    if any(t.dtype == tf.variant for t in (*operation.inputs, *operation.outputs)):
        return OperationGradient(inputs, None)
    # A derivative that is written by hand knows the graph that it was written for.
    asked = operation if custom else _alone(operation)
    sources = [t for t, depends in zip(asked.inputs, inputs, strict=True) if depends]
    targets = [t for t, live in zip(asked.outputs, outputs, strict=True) if live]
    try:
        with asked.graph.as_default():
            ones = [tf.ones_like(t) for t in targets]
            found = tf.gradients(targets, sources, ones, stop_gradients=list(asked.inputs))
    except LookupError:
        return OperationGradient(inputs, MISSING)
    except Exception as error:
        return OperationGradient(inputs, f"its derivative fails: {error}")
    gradients = iter(found)
    passed = tuple(depends and next(gradients) is not None for depends in inputs)
    redundant = _REDUNDANT.get(operation.type, ())
    lost = [i for i in range(len(inputs)) if inputs[i] and not passed[i] and i not in redundant]
    # A derivative that a user wrote is what it is declared to be.
    dropped = lost and not custom and operation.type not in _FLAT
    return OperationGradient(passed, DROPPED if dropped else None)


def _alone(operation: Any) -> Any:
    """Returns an operation like the given one, in a graph of its own."""
    attributes = operation.node_def.attr
    kept = {name: attributes[name] for name in attributes if not name.startswith("_")}
    with tf.Graph().as_default() as graph:
        return graph.create_op(
            operation.type,
            [_stand_in(t) for t in operation.inputs],
            [t.dtype for t in operation.outputs],
            attrs=kept,
        )


def _stand_in(tensor: tf.Tensor) -> tf.Tensor:
    """Returns a tensor of the same kind, and of the same value if it is a constant."""
    if tensor.op.type == "Const":
        return tf.constant(tf.get_static_value(tensor), tensor.dtype)
    return tf.compat.v1.placeholder(tensor.dtype, tensor.shape)
