"""The context vector that layers are conditioned on."""

from typing import Any

from warptf.layers.task_layer import TaskLayer


class ContextVector(TaskLayer):
    """A context vector, zero at the start of every task; the layer it is nested in reads it.

    Args:
        size: number of entries.
        **kwargs: the arguments of `keras.layers.Layer`.
    """

    def __init__(self, size: int, context: bool = True, **kwargs: Any) -> None:
        super().__init__(context=context, **kwargs)
        self.size = size

    def build(self, input_shape: Any = None) -> None:
        """Creates the vector, whatever the input."""
        self.vector = self.add_weight(shape=(self.size,), initializer="zeros", name="vector")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "size": self.size}
