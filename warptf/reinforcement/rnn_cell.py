"""The plain recurrent cell."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.layers.validation import channel_count
from warptf.reinforcement.recurrent_cell import Product, RecurrentCell


class RNNCell(RecurrentCell):
    r"""The plain recurrent cell: $h_t = \tanh(W x_t + V h_{t-1} + b)$.

    Args:
        units: size of $h$. Defaults to 100.
        **kwargs: the arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: $x_t$, `[B, features]`.
        states: $[h_{t-1}]$, `[B, units]`.

    Returns:
        $h_t$ and $[h_t]$.

    Raises:
        ValueError: `units` is not positive, or the number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> layer = keras.layers.RNN(warptf.reinforcement.RNNCell(4))
        >>> layer(keras.ops.ones((2, 5, 3))).shape
        TensorShape([2, 4])

    Reference:
        arXiv 1909.00025, appendix I (learning to reinforcement learn, arXiv 1611.05763).
    """

    def __init__(self, units: int = 100, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, features]`."""
        features = channel_count(self.name, input_shape)
        self.kernel = self.add_weight(shape=(features, self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def project(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns $W x + b$."""
        return [self.multiply(inputs, self.kernel) + self.value_of(self.bias)]

    def advance(
        self, projected: list[tf.Tensor], states: Sequence[tf.Tensor], product: Product
    ) -> list[tf.Tensor]:
        """Returns $[h_t]$."""
        return [tf.tanh(projected[0] + product(states[0], self.recurrent_kernel))]
