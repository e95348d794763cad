"""The warped recurrent cell."""

from typing import ClassVar

from warptf.reinforcement.lstm_modulator import LSTMModulator, WarpLSTMModulator
from warptf.reinforcement.modulated_rnn_cell import ModulatedRNNCell


class WarpRNNCell(ModulatedRNNCell):
    r"""The Warp-RNN: a recurrent cell that an LSTM warp modulates.

    Eq. 16: $h_t = \tanh(U^2_h V U^1_h h_{t-1} + U^2_x W U^1_x x_t + U_b b)$, each $U$ a part of
    $\mathrm{diag}(\tanh(P z_t))$, $z_t$ the hidden state of an LSTM fed with $[x_t, h_{t-1}]$. The
    LSTM and $P$ are warp parameters; $W$, $V$ and $b$ are task parameters. $b$ starts from ones,
    for a bias of zeros would hide the modulation $U_b$ from the start; the paper gives no value.

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
        >>> cell = warptf.reinforcement.WarpRNNCell(4, lstm_units=2)
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.RNN(cell)])
        >>> parts = warptf.partition(model)
        >>> [v.name for v in parts.task_variables]
        ['kernel', 'recurrent_kernel', 'bias']
        >>> [v.name for v in parts.warp_variables]
        ['kernel', 'recurrent_kernel', 'bias', 'projection']

    Reference:
        arXiv 1909.00025, equation 16, appendix I.
    """

    modulator_class: ClassVar[type[LSTMModulator]] = WarpLSTMModulator
