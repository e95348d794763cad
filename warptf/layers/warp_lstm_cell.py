"""The LSTM warp cell."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.lstm import lstm_bias, lstm_step
from warptf.layers.validation import channel_count, positive_integer
from warptf.layers.warp_layer import WarpLayer


class WarpLSTMCell(WarpLayer):
    r"""An LSTM cell whose weights are warp parameters.

    $[i, f, g, o] = x_t W + z_{t-1} U + b$, $c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot
    \tanh(g)$, $z_t = \sigma(o) \odot \tanh(c_t)$. The forget gate's bias starts from 1.

    To be used as any recurrent cell, in `keras.layers.RNN` or within another cell. It has second
    derivatives, which cuDNN's LSTM has not.

    Args:
        units: size of the hidden state $z$.
        kernel_initializer: initialises $W$. Defaults to `"glorot_uniform"`.
        recurrent_initializer: initialises $U$. Defaults to `"orthogonal"`.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: $x_t$, `[B, features]`.
        states: $z_{t-1}$ and $c_{t-1}$, each `[B, units]`.

    Returns:
        $z_t$, and the states $[z_t, c_t]$.

    Raises:
        ValueError: `units` is not positive, or the number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> layer = keras.layers.RNN(warptf.layers.WarpLSTMCell(4))
        >>> layer(keras.ops.ones((2, 5, 3))).shape
        TensorShape([2, 4])

    Reference:
        Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Flennerhag et al., arXiv
        1909.00025, appendix I.
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer("units", units)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.state_size = [self.units, self.units]
        self.output_size = self.units

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, features]`."""
        features = channel_count(self.name, input_shape)
        self.kernel = self.add_weight(
            shape=(features, 4 * self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, 4 * self.units),
            initializer=self.recurrent_initializer,
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=(4 * self.units,), initializer=lstm_bias(self.units), name="bias"
        )

    def call(self, inputs: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Maps $x_t$ and the states at $t - 1$ to $z_t$ and those at $t$."""
        hidden, carry = states
        projected = keras.ops.matmul(inputs, self.kernel)
        gates = projected + keras.ops.matmul(hidden, self.recurrent_kernel) + self.bias
        hidden, carry = lstm_step(gates, carry)
        return hidden, [hidden, carry]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
        }
