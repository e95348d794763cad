"""The plastic recurrent cell."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.reinforcement.recurrent_cell import Product
from warptf.reinforcement.rnn_cell import RNNCell


class HebbianRNNCell(RNNCell):
    r"""A recurrent cell whose weights are plastic, within an episode, as the cell itself decides.

    $h_t = \tanh(W x_t + (V + A \odot \mathrm{Hebb}) h_{t-1} + b)$, $M(t) = \tanh(m^\top h_t + n)$.
    Simple modulation: $\mathrm{Hebb} \leftarrow \mathrm{clip}(\mathrm{Hebb} + M(t) h_t
    h_{t-1}^\top, \pm 1)$. Retroactive modulation, in this order: $\mathrm{Hebb} \leftarrow
    \mathrm{clip}(\mathrm{Hebb} + M(t) E, \pm 1)$, $E \leftarrow (1 - \eta) E + \eta h_t
    h_{t-1}^\top$. Hebb and $E$ start from zero; $\eta$ is learned, from 0.1 on, and $A$ from
    uniform numbers up to 0.01.

    Args:
        units: size of $h$. Defaults to 100.
        retroactive: whether modulation is retroactive. Defaults to `False`, simple.
        **kwargs: the arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: $x_t$, `[B, features]`.
        states: $h_{t-1}$, `[B, units]`, and Hebb, `[B, units²]`, row by row; then $E$ likewise, if
            retroactive.

    Returns:
        $h_t$ and the states at $t$.

    Raises:
        ValueError: `units` is not positive, or the number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> layer = keras.layers.RNN(warptf.reinforcement.HebbianRNNCell(4, retroactive=True))
        >>> layer(keras.ops.ones((2, 5, 3))).shape
        TensorShape([2, 4])

    Reference:
        Miconi et al., Backpropamine: training self-modifying neural networks with differentiable
        neuromodulated plasticity, ICLR 2019; arXiv 1909.00025, appendix I.
    """

    def __init__(self, units: int = 100, retroactive: bool = False, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.retroactive = bool(retroactive)
        traces = 2 if self.retroactive else 1
        self.state_size = [units] + traces * [units * units]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, features]`."""
        super().build(input_shape)
        self.plasticity = self.add_weight(
            shape=(self.units, self.units),
            initializer=keras.initializers.RandomUniform(0.0, 0.01),
            name="plasticity",
        )
        self.modulation_kernel = self.add_weight(shape=(self.units, 1), name="modulation_kernel")
        self.modulation_bias = self.add_weight(
            shape=(1,), initializer="zeros", name="modulation_bias"
        )
        if self.retroactive:
            self.trace_rate = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(0.1), name="trace_rate"
            )

    def advance(
        self, projected: list[tf.Tensor], states: Sequence[tf.Tensor], product: Product
    ) -> list[tf.Tensor]:
        """Returns $h_t$, Hebb and, if retroactive, $E$."""
        before, square = states[0], (-1, self.units, self.units)
        hebb = tf.reshape(states[1], square)
        # Rows are inputs and columns outputs, as in the kernels.
        plastic = tf.matmul(before[:, None, :], self.value_of(self.plasticity) * hebb)[:, 0]
        fixed = product(before, self.recurrent_kernel)
        h = tf.tanh(projected[0] + fixed + plastic)
        modulation = product(h, self.modulation_kernel) + self.value_of(self.modulation_bias)
        # As products with ones and by twos: their gradients are sums that XLA is quick at.
        gain = tf.matmul(tf.tanh(modulation), tf.ones((1, self.units), h.dtype))[:, None, :]
        coincidence = tf.matmul(before[:, :, None], h[:, None, :])
        if not self.retroactive:
            return [h, _flat(tf.clip_by_value(hebb + gain * coincidence, -1.0, 1.0))]
        trace = tf.reshape(states[2], square)
        hebb = tf.clip_by_value(hebb + gain * trace, -1.0, 1.0)
        rate = self.value_of(self.trace_rate)
        return [h, _flat(hebb), _flat((1.0 - rate) * trace + rate * coincidence)]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "retroactive": self.retroactive}


def _flat(matrices: tf.Tensor) -> tf.Tensor:
    return tf.reshape(matrices, (-1, matrices.shape[1] * matrices.shape[2]))
