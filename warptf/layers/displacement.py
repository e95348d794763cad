"""A task layer that moves its inputs."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.task_layer import TaskLayer
from warptf.layers.validation import channel_count


class Displacement(TaskLayer):
    r"""Adds a task vector to its inputs: $\theta = x + \delta$, with $\delta = 0$ at first.

    Gradient descent on $\delta$ is gradient descent on a point $\theta$ that starts at the input:
    a learner whose parameters are all that it has, each task starting at a place of its own.

    Args:
        **kwargs: The arguments of `TaskLayer`.

    Call arguments:
        inputs: `[B, features]`.

    Returns:
        `[B, features]`.

    Raises:
        ValueError: The number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> layer = warptf.layers.Displacement()
        >>> layer(keras.ops.ones((1, 2))).numpy().tolist()
        [[1.0, 1.0]]
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the vector for inputs `[B, features]`."""
        features = channel_count(self.name, input_shape)
        self.delta = self.add_weight(shape=(features,), initializer="zeros", name="delta")

    def call(self, inputs: Any) -> Any:
        """Moves `[B, features]`."""
        return inputs + keras.ops.cast(self.delta, inputs.dtype)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return tuple(input_shape)
