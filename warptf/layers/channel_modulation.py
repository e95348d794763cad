"""Feature-wise linear modulation, shared by the warp and the task version."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.validation import channel_count


class ChannelModulation(keras.layers.Layer):
    """Computes `h * (1 + gamma) + beta`, one learned pair per channel, both zero at the start."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates `gamma` and `beta` for inputs `[B, ..., channels]`."""
        shape = (channel_count(self.name, input_shape),)
        self.gamma = self.add_weight(shape=shape, initializer="zeros", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")

    def call(self, inputs: Any) -> Any:
        """Modulates `[B, ..., channels]`; the shape is kept."""
        return inputs * (1.0 + self.gamma) + self.beta

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return tuple(input_shape)
