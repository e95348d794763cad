"""A learned factor of logits."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.warp_layer import WarpLayer


class WarpTemperature(WarpLayer):
    r"""Multiplies logits by a factor: $\omega(z) = e^\phi z$, $\phi$ a number that starts at 0.

    Args:
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: of any shape.

    Returns:
        The same shape as the inputs.

    Example:
        >>> import keras, warptf
        >>> head = [warptf.layers.ClassMeanHead(5), warptf.layers.WarpTemperature()]
        >>> model = keras.Sequential([keras.Input((8,)), *head])
        >>> [tuple(v.shape) for v in warptf.partition(model).warp_variables]
        [()]

    Reference:
        Gidaris and Komodakis, Dynamic Few-Shot Visual Learning without Forgetting, arXiv
        1804.09458, section 3.2 (a learned scale of cosines).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        r"""Creates $\phi$."""
        self.logarithm = self.add_weight(shape=(), initializer="zeros", name="logarithm")

    def call(self, inputs: Any) -> Any:
        """Returns the inputs times the factor."""
        return inputs * keras.ops.exp(self.logarithm)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return tuple(input_shape)
