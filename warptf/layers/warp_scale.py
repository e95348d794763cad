"""Channel-wise scaling as a warp layer."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.validation import channel_count
from warptf.layers.warp_layer import WarpLayer


class WarpScale(WarpLayer):
    r"""Scales each channel: $\omega(h) = s \odot h$.

    It preconditions like one learned rate per channel, the simplest warp.

    Args:
        initializer: initialises $s$. Defaults to `"ones"`, the identity.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, ..., channels]`.

    Returns:
        The same shape as the inputs.

    Raises:
        ValueError: the number of channels is unknown.

    Example:
        >>> import keras, warptf
        >>> scale = warptf.layers.WarpScale(initializer=keras.initializers.Constant(2.0))
        >>> scale(keras.ops.ones((1, 3))).numpy().tolist()
        [[2.0, 2.0, 2.0]]

    Reference:
        Flennerhag et al., arXiv 1909.00025, table 3.
    """

    def __init__(self, initializer: Any = "ones", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the scale for inputs `[B, ..., channels]`."""
        self.scale = self.add_weight(
            shape=(channel_count(self.name, input_shape),),
            initializer=self.initializer,
            name="scale",
        )

    def call(self, inputs: Any) -> Any:
        """Scales `[B, ..., channels]`; the shape is kept."""
        return inputs * self.scale

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
        }
