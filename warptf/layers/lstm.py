"""The gates of a long short-term memory."""

import keras
import tensorflow as tf


def lstm_step(gates: tf.Tensor, carry: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    r"""Returns the hidden state and the carry after one step.

    $c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g)$, $z_t = \sigma(o) \odot \tanh(c_t)$.

    Args:
        gates: $i, f, g, o$ before their non-linearities, `[B, 4 units]`.
        carry: $c_{t-1}$, `[B, units]`.
    """
    i, f, g, o = keras.ops.split(gates, 4, axis=-1)
    carry = keras.ops.sigmoid(f) * carry + keras.ops.sigmoid(i) * keras.ops.tanh(g)
    return keras.ops.sigmoid(o) * keras.ops.tanh(carry), carry


def lstm_bias(units: int) -> keras.initializers.Initializer:
    """Returns zeros, but ones for the forget gate, so that memory lasts from the start.

    Args:
        units: size of the hidden state.
    """
    return _ForgetGateOnes(units)


@keras.saving.register_keras_serializable(package="warptf")
class _ForgetGateOnes(keras.initializers.Initializer):
    def __init__(self, units: int) -> None:
        self.units = units

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        """Returns the bias `[4 units]`."""
        zeros, ones = keras.ops.zeros(self.units, dtype), keras.ops.ones(self.units, dtype)
        return keras.ops.concatenate([zeros, ones, zeros, zeros])

    def get_config(self) -> dict[str, int]:
        """Returns the constructor's arguments."""
        return {"units": self.units}
