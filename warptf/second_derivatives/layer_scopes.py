"""Which layer of a model made an operation."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.partition import iterate_layers

# What TensorFlow puts before the scope of an operation whose gradient it takes.
_GRADIENT = "gradient_tape/"


class LayerScopes:
    """Remembers the name scopes in which the layers of a model are called.

    Args:
        model: the model, whose calls within `watching` are remembered.
    """

    def __init__(self, model: keras.Model) -> None:
        self._layers = {"": model, **dict(iterate_layers(model))}
        self._scopes: dict[str, str] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Remembers the scopes of calls within."""
        watched: list[Any] = []
        for path, layer in self._layers.items():
            if not any(layer is other for other in watched):
                # Past Keras' own setter, which looks for things to track.
                object.__setattr__(layer, "call", self._noting(path, layer.call))
                watched.append(layer)
        try:
            yield
        finally:
            for layer in watched:
                object.__delattr__(layer, "call")

    def _noting(self, path: str, call: Any) -> Any:
        def noting(*args: Any, **kwargs: Any) -> Any:
            self._scopes.setdefault(tf.get_current_name_scope(), path)
            return call(*args, **kwargs)

        return noting

    def layer_of(self, operations: Sequence[Any]) -> tuple[str, keras.layers.Layer] | None:
        """Returns the path of the innermost layer that made an operation, and the layer.

        Args:
            operations: the operation, after those that call the functions it stands in.

        Returns:
            The path, empty for the model itself, and the layer; `None` if no layer made it.
        """
        found: str | None = None
        for operation in operations:
            inner = self._path(operation.name) or self._path_of_forward_call(operation)
            if inner is not None and (not found or inner.startswith(found)):
                found = inner
        return None if found is None else (found, self._layers[found])

    def _path_of_forward_call(self, operation: Any) -> str | None:
        """Returns the path of the layer of a function whose derivative an operation calls.

        The call of the derivative stands in no scope; what it remembers comes from that of the
        function.
        """
        calls = [t.op for t in operation.inputs if t.op.type == operation.type]
        paths = (self._path(op.name) for op in calls if operation.type.endswith("PartitionedCall"))
        return next((path for path in paths if path), None)

    def _path(self, name: str) -> str | None:
        """Returns the path of the layer with the longest scope that a name begins with."""
        scope = name.removeprefix(_GRADIENT)
        while scope:
            scope = scope.rpartition("/")[0]
            if scope in self._scopes:
                return self._scopes[scope]
        return None
