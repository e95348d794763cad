"""The recurrent cell with a hyper-network."""

from typing import ClassVar

from warptf.reinforcement.lstm_modulator import LSTMModulator
from warptf.reinforcement.modulated_rnn_cell import ModulatedRNNCell


class HyperRNNCell(ModulatedRNNCell):
    r"""The HyperRNN: the Warp-RNN's cell, all of whose weights are task parameters.

    As `WarpRNNCell`, but the LSTM is trained at every step, as the rest is.

    Args:
        units: size of $h$. Defaults to 100.
        lstm_units: size of $z$. Defaults to 100.
        **kwargs: the arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: $x_t$, `[B, features]`.
        states: $[h_{t-1}, z_{t-1}, c_{t-1}]$, each `[B, size]`.

    Returns:
        $h_t$ and $[h_t, z_t, c_t]$.

    Raises:
        ValueError: a size is not positive, or the number of features is unknown.

    Example:
        >>> import keras, warptf
        >>> cell = warptf.reinforcement.HyperRNNCell(4, lstm_units=2)
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.RNN(cell)])
        >>> len(warptf.partition(model).task_variables)
        7

    Reference:
        Ha et al., HyperNetworks, arXiv 1609.09106; arXiv 1909.00025, appendix I.
    """

    modulator_class: ClassVar[type[LSTMModulator]] = LSTMModulator
