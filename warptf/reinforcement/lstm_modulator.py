"""The hyper-networks that modulate a recurrent cell."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.lstm import lstm_bias
from warptf.layers.registration import register_layer_class
from warptf.layers.warp_layer import WarpLayer


@keras.saving.register_keras_serializable(package="warptf")
class LSTMModulator(keras.layers.Layer):
    r"""The weights of an LSTM fed with $[x_t, h_{t-1}]$, and of the projection $P$ of its state.

    The kernels of $h_{t-1}$ and of the LSTM's own state are one matrix, so that a step takes one
    product.

    Args:
        units: size of the LSTM's state $z$.
        outputs: rows of $P$.
        **kwargs: the arguments of `keras.layers.Layer`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def __init__(self, units: int, outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.outputs = units, outputs

    def build(self, input_shape: Sequence[Any], state_size: int) -> None:
        """Creates the weights for $x$ `[B, features]` and $h$ of the given size."""
        gates = 4 * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], gates), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(state_size + self.units, gates), name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(gates,), initializer=lstm_bias(self.units), name="bias")
        self.projection = self.add_weight(shape=(self.units, self.outputs), name="projection")


class WarpLSTMModulator(LSTMModulator, WarpLayer):
    r"""An `LSTMModulator` whose weights are warp parameters.

    Args:
        units: size of the LSTM's state $z$.
        outputs: rows of $P$.
        **kwargs: the arguments of `keras.layers.Layer`.
    """
