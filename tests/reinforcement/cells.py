"""Every recurrent cell of the library, by name, small."""

from collections.abc import Callable

import keras
import numpy as np

from warptf import layers, reinforcement

UNITS = 4

CELLS: dict[str, Callable[[], keras.layers.Layer]] = {
    "rnn": lambda **k: reinforcement.RNNCell(UNITS, **k),
    "warp-rnn": lambda **k: reinforcement.WarpRNNCell(UNITS, lstm_units=3, **k),
    "hyper-rnn": lambda **k: reinforcement.HyperRNNCell(UNITS, lstm_units=3, **k),
    "t-net-rnn": lambda **k: reinforcement.TNetRNNCell(UNITS, **k),
    "hebb-rnn": lambda **k: reinforcement.HebbianRNNCell(UNITS, **k),
    "retro-hebb-rnn": lambda **k: reinforcement.HebbianRNNCell(UNITS, retroactive=True, **k),
}
OTHER_CELLS: dict[str, Callable[[], keras.layers.Layer]] = {
    "keras-gru": lambda **k: keras.layers.GRUCell(UNITS, **k),
    "keras-lstm": lambda **k: keras.layers.LSTMCell(UNITS, **k),
    "warp-lstm": lambda **k: layers.WarpLSTMCell(UNITS, **k),
}
PUBLIC_CELLS = {
    name
    for name in reinforcement.__all__
    if name.endswith("Cell") and name != reinforcement.RecurrentCell.__name__
}


def agent_of(cell: keras.layers.Layer, observations: int = 2, actions: int = 2) -> keras.Model:
    """An agent with fixed weights, away from special values such as zero biases."""
    agent = reinforcement.RecurrentAgent(cell, observations, actions)
    rng = np.random.default_rng(3)
    for variable in agent.trainable_variables:
        variable.assign(0.4 * rng.normal(size=variable.shape))
    return agent
