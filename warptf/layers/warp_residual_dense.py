"""The residual dense warp layer."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.initializers import fork
from warptf.layers.validation import channel_count, positive_integer
from warptf.layers.warp_layer import WarpLayer


class WarpResidualDense(WarpLayer):
    r"""A residual block of two dense layers: $\omega(h) = h + \sigma(h W_1 + b_1) W_2 + b_2$.

    The first layer has `units` units with the activation $\sigma$, the second is linear and brings
    the width back to the input's.

    Args:
        units: hidden units. Defaults to 100, the paper's.
        activation: the activation $\sigma$, as Keras takes it. Defaults to `"tanh"`.
        kernel_initializer: initialises $W_1$ and $W_2$. Defaults to `"glorot_uniform"`.
        bias_initializer: initialises the biases. Defaults to `"zeros"`.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, ..., features]`.

    Returns:
        The same shape as the inputs.

    Raises:
        ValueError: `units` is not positive, or the number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> warptf.layers.WarpResidualDense(units=5)(keras.ops.ones((2, 3))).shape
        TensorShape([2, 3])

    Reference:
        Flennerhag et al., arXiv 1909.00025, appendix J.
    """

    def __init__(
        self,
        units: int = 100,
        activation: Any = "tanh",
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer("units", units)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, ..., features]`."""
        features = channel_count(self.name, input_shape)
        self.hidden = self._dense(self.units, 0, "hidden", self.activation)
        self.output_map = self._dense(features, 1, "output_map")
        self.hidden.build(input_shape)
        self.output_map.build((*input_shape[:-1], self.units))

    def _dense(self, units: int, index: int, name: str, activation: Any = None) -> Any:
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=fork(self.kernel_initializer, index),
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs: Any) -> Any:
        """Warps `[B, ..., features]`; the shape is kept."""
        return inputs + self.output_map(self.hidden(inputs))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
