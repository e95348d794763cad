"""The base of the convolutional warp layers."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.conv_block import ConvBlock
from warptf.layers.initializers import fork
from warptf.layers.validation import channel_count, optional_positive_integer, positive_integer
from warptf.layers.warp_layer import WarpLayer


class ConvolutionalWarp(WarpLayer):
    """A warp layer that is a stack of convolutional blocks, space kept, channels last.

    Subclasses say in `_make_stages` which layers are stacked.

    Args:
        filters: channels of the output; `None` keeps the input's.
        kernel_size: side of the windows in pixels, an integer or a pair.
        activation: the activation after each convolution.
        batch_normalization: whether the blocks normalise.
        use_bias: whether the convolutions have biases.
        kernel_initializer: initialises the kernels.
        bias_initializer: initialises the biases.
        momentum: of the moving statistics, the weight of the old value.
        epsilon: added to the variance.
        **kwargs: the arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        filters: int | None = None,
        kernel_size: int | tuple[int, int] = 3,
        activation: Any = None,
        batch_normalization: bool = False,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = optional_positive_integer("filters", filters)
        self.kernel_size = _window(kernel_size)
        self.activation = keras.activations.get(activation)
        self.batch_normalization = bool(batch_normalization)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.momentum = _within("momentum", momentum, 0.0, 1.0)
        self.epsilon = _within("epsilon", epsilon, 0.0, float("inf"))
        self.stages: list[keras.layers.Layer] = []
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, height, width, channels]`."""
        channels = channel_count(self.name, input_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        self.stages = self._make_stages(self.filters or channels)
        shape = tuple(input_shape)
        for stage in self.stages:
            stage.build(shape)
            shape = stage.compute_output_shape(shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Warps a batch.

        Args:
            inputs: `[B, height, width, channels]`.
            training: whether to normalise with the batch's statistics (and update the moving
                ones) rather than with the moving statistics.

        Returns:
            The warped batch, `[B, height, width, filters]`.
        """
        x = inputs
        for stage in self.stages:
            x = stage(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns `[B, height, width, filters]`."""
        return (*input_shape[:-1], self.filters or channel_count(self.name, input_shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "batch_normalization": self.batch_normalization,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }

    def _make_stages(self, filters: int) -> list[keras.layers.Layer]:
        """Returns the unbuilt layers to stack, the last with `filters` channels."""
        raise NotImplementedError

    def _block(self, filters: int, index: int, residual: bool) -> ConvBlock:
        return ConvBlock(
            filters,
            self.kernel_size,
            self.activation,
            self.batch_normalization,
            residual,
            self.use_bias,
            self.kernel_initializer if index == 0 else fork(self.kernel_initializer, index + 1),
            self.bias_initializer,
            self.momentum,
            self.epsilon,
            name=f"block_{index}",
            dtype=self.dtype_policy,
        )


def _window(kernel_size: Any) -> tuple[int, int]:
    sides = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    if len(sides) != 2:
        raise ValueError(
            f"kernel_size must be a positive integer or a pair of them, got {kernel_size!r}."
        )
    return positive_integer("kernel_size", sides[0]), positive_integer("kernel_size", sides[1])


def _within(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}, got {value!r}.")
    return float(value)
