"""The recurrent cell of the T-Net."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.layers.warp_dense import WarpDense
from warptf.reinforcement.recurrent_cell import Product
from warptf.reinforcement.rnn_cell import RNNCell


class TNetRNNCell(RNNCell):
    r"""The plain cell with a linear warp after each product: the T-Net.

    $h_t = \tanh(T_h V h_{t-1} + T_x W x_t + b)$; $T_h$ and $T_x$ are warp parameters, $V$, $W$ and
    $b$ task parameters.

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
        >>> model = keras.Sequential([keras.Input((5, 3)),
        ...     keras.layers.RNN(warptf.reinforcement.TNetRNNCell(4))])
        >>> [tuple(v.shape) for v in warptf.partition(model).warp_variables]
        [(4, 4), (4, 4)]

    Reference:
        arXiv 1909.00025, appendix I; Lee and Choi, arXiv 1801.05558.
    """

    def __init__(self, units: int = 100, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.state_warp = WarpDense(units, use_bias=False, dtype=self.dtype_policy)
        self.input_warp = WarpDense(units, use_bias=False, dtype=self.dtype_policy)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs `[B, features]`."""
        super().build(input_shape)
        self.state_warp.build((None, self.units))
        self.input_warp.build((None, self.units))

    def project(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns $T_x W x + b$."""
        product = self.multiply(self.multiply(inputs, self.kernel), self.input_warp.kernel)
        return [product + self.value_of(self.bias)]

    def advance(
        self, projected: list[tf.Tensor], states: Sequence[tf.Tensor], product: Product
    ) -> list[tf.Tensor]:
        """Returns $[h_t]$."""
        through_v = product(states[0], self.recurrent_kernel)
        return [tf.tanh(projected[0] + product(through_v, self.state_warp.kernel))]
