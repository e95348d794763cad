"""The dense warp layer."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.validation import channel_count, optional_positive_integer
from warptf.layers.warp_layer import WarpLayer


class WarpDense(WarpLayer):
    r"""A dense warp layer, linear by default: $\omega(h) = \sigma(h W + b)$.

    A linear one after every task layer is the T-Net: it preconditions each layer's gradient by
    $W^\top W$, block-diagonally. `kernel_initializer="identity"` starts from the plain learner.

    Args:
        units: size of the output; `None` (default) keeps the input's.
        activation: the activation $\sigma$, as Keras takes it. Defaults to `None`, linear.
        use_bias: whether there is a bias $b$. Defaults to `True`.
        kernel_initializer: initialises $W$. Defaults to `"glorot_uniform"`.
        bias_initializer: initialises $b$. Defaults to `"zeros"`.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, ..., features]`.

    Returns:
        `[B, ..., units]`.

    Raises:
        ValueError: `units` is not positive, or the number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> warp = warptf.layers.WarpDense(kernel_initializer="identity")
        >>> warp(keras.ops.ones((1, 3))).numpy().tolist()
        [[1.0, 1.0, 1.0]]

    Reference:
        Lee and Choi, Gradient-Based Meta-Learning with Learned Layerwise Metric and Subspace
        (T-Net), arXiv 1801.05558; Flennerhag et al., arXiv 1909.00025, section 2.
    """

    def __init__(
        self,
        units: int | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = optional_positive_integer("units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, ..., features]`."""
        features = channel_count(self.name, input_shape)
        units = self.units or features
        self.kernel = self.add_weight(
            shape=(features, units), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(units,), initializer=self.bias_initializer, name="bias"
            )

    def call(self, inputs: Any) -> Any:
        """Maps `[B, ..., features]` to `[B, ..., units]`."""
        x = keras.ops.matmul(inputs, self.kernel)
        return self.activation(x if self.bias is None else x + self.bias)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns `[B, ..., units]`."""
        return (*input_shape[:-1], self.units or channel_count(self.name, input_shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
