"""The base of recurrent cells that an LSTM modulates."""

from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from warptf.layers.lstm import lstm_step
from warptf.layers.validation import channel_count, positive_integer
from warptf.reinforcement.lstm_modulator import LSTMModulator
from warptf.reinforcement.recurrent_cell import Product, RecurrentCell


class ModulatedRNNCell(RecurrentCell):
    r"""A recurrent cell whose products an LSTM scales, element by element.

    Eq. 16: $h_t = \tanh(U^2_h V U^1_h h_{t-1} + U^2_x W U^1_x x_t + U_b b)$, each $U$ a part of
    $\mathrm{diag}(\tanh(P z_t))$, $z_t$ the hidden state of an LSTM fed with $[x_t, h_{t-1}]$.

    Args:
        units: size of $h$. Defaults to 100.
        lstm_units: size of $z$. Defaults to 100.
        **kwargs: the arguments of `keras.layers.Layer`.
    """

    modulator_class: ClassVar[type[LSTMModulator]]

    def __init__(self, units: int = 100, lstm_units: int = 100, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.lstm_units = positive_integer("lstm_units", lstm_units)
        self.state_size = [units, lstm_units, lstm_units]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, features]`."""
        features = channel_count(self.name, input_shape)
        self.kernel = self.add_weight(shape=(features, self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="ones", name="bias")
        # U^1_h, U^2_h, U^2_x, U_b, then U^1_x.
        self._sizes = [self.units] * 4 + [features]
        self.modulator = self.modulator_class(
            self.lstm_units, sum(self._sizes), dtype=self.dtype_policy, name="modulator"
        )
        self.modulator.build((None, features), self.units)

    def project(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns $x$ and its part of the LSTM's gates."""
        gates = self.multiply(inputs, self.modulator.kernel)
        return [inputs, gates + self.value_of(self.modulator.bias)]

    def advance(
        self, projected: list[tf.Tensor], states: Sequence[tf.Tensor], product: Product
    ) -> list[tf.Tensor]:
        """Returns $[h_t, z_t, c_t]$."""
        (x, gates), (h, z, c) = projected, states
        both = product(tf.concat([h, z], axis=1), self.modulator.recurrent_kernel)
        z, c = lstm_step(gates + both, c)
        scales = tf.tanh(product(z, self.modulator.projection))
        u1_h, u2_h, u2_x, u_b, u1_x = tf.split(scales, self._sizes, axis=1)
        # Eq. 16.
        from_h = u2_h * product(u1_h * h, self.recurrent_kernel)
        from_x = u2_x * product(u1_x * x, self.kernel)
        h = tf.tanh(from_h + from_x + u_b * self.value_of(self.bias))
        return [h, z, c]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "lstm_units": self.lstm_units}
