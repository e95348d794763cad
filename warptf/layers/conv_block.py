"""The convolutional block that convolutional warp layers are made of."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.initializers import fork


class ConvBlock(keras.layers.Layer):
    """Batch norm, convolution, activation, shortcut, batch norm, in this order; most are optional.

    The shortcut is the block's input, through a 1x1 convolution where the numbers of channels
    differ. Space is kept (stride 1, padding "same") and channels come last.

    Args:
        filters: channels of the output.
        kernel_size: side of the convolution's window, in pixels.
        activation: a Keras activation function.
        batch_normalization: whether to normalise the input and, if residual, the output.
        residual: whether to add the shortcut.
        use_bias: whether the convolution has a bias.
        kernel_initializer: initialises the kernels, a `keras.initializers.Initializer`.
        bias_initializer: initialises the biases.
        momentum: of the moving statistics, the weight of the old value.
        epsilon: added to the variance.
        **kwargs: the arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        activation: Any,
        batch_normalization: bool,
        residual: bool,
        use_bias: bool,
        kernel_initializer: keras.initializers.Initializer,
        bias_initializer: keras.initializers.Initializer,
        momentum: float,
        epsilon: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.residual = residual
        self.activation = activation
        self.kernel_initializer = kernel_initializer
        self.convolution = keras.layers.Conv2D(
            kernel_size=kernel_size,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            name="convolution",
            **self._convolution_settings(0),
        )
        self.projection: keras.layers.Conv2D | None = None
        norm = {"momentum": momentum, "epsilon": epsilon, "dtype": self.dtype_policy}
        self.input_norm = self.output_norm = None
        if batch_normalization:
            self.input_norm = BatchNormalization(name="input_norm", **norm)
        if batch_normalization and residual:
            self.output_norm = BatchNormalization(name="output_norm", **norm)

    def _convolution_settings(self, index: int) -> dict[str, Any]:
        return {
            "filters": self.filters,
            "padding": "same",
            "data_format": "channels_last",
            "kernel_initializer": fork(self.kernel_initializer, index),
            "dtype": self.dtype_policy,
        }

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, height, width, channels]`."""
        if self.input_norm is not None:
            self.input_norm.build(input_shape)
        self.convolution.build(input_shape)
        if self.residual and input_shape[-1] != self.filters:
            self.projection = keras.layers.Conv2D(
                kernel_size=1, use_bias=False, name="projection", **self._convolution_settings(1)
            )
            self.projection.build(input_shape)
        if self.output_norm is not None:
            self.output_norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the block's output, `[B, height, width, filters]`."""
        x = inputs if self.input_norm is None else self.input_norm(inputs, training=training)
        x = self.activation(self.convolution(x))
        if self.residual:
            x = x + (inputs if self.projection is None else self.projection(inputs))
        return x if self.output_norm is None else self.output_norm(x, training=training)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns `[B, height, width, filters]`."""
        return (*input_shape[:-1], self.filters)
