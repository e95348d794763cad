"""Each cell against its equations written out in NumPy, and as a Keras layer."""

import json

import keras
import numpy as np
import pytest
from reinforcement.cells import CELLS, PUBLIC_CELLS, UNITS

import warptf
from warptf import reinforcement

STEPS, EPISODES, FEATURES = 6, 3, 5


@pytest.fixture(autouse=True)
def double_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(EPISODES, STEPS, FEATURES))


def built(name: str) -> tuple[keras.layers.RNN, dict[str, np.ndarray]]:
    """A layer of the cell with random weights, and these by the end of their path."""
    layer = keras.layers.RNN(CELLS[name](), return_sequences=True)
    layer.build((None, STEPS, FEATURES))
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(0.5 * rng.normal(size=variable.shape))
    cell = layer.cell
    if isinstance(cell, reinforcement.TNetRNNCell):
        warps = {"state_warp": cell.state_warp, "input_warp": cell.input_warp}
        nested = {f"{k}/{v.name}": v.numpy() for k, layer in warps.items() for v in layer.variables}
    else:
        modulator = getattr(cell, "modulator", None)
        nested = {f"modulator/{v.name}": v.numpy() for v in getattr(modulator, "variables", [])}
    variables = [cell.kernel, cell.recurrent_kernel, cell.bias] if nested else cell.weights
    return layer, {v.name: np.array(v.numpy()) for v in variables} | nested


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def run(step, h0: np.ndarray) -> np.ndarray:
    """The outputs of one episode after another, `step(x, h)` keeping what else it remembers."""
    outputs = []
    for h, x_t in ((h0, x) for x in inputs()):
        remember, row = step(), []
        for x in x_t:
            h = remember(x, h)
            row.append(h)
        outputs.append(row)
    return np.array(outputs)


def test_every_cell_is_tested() -> None:
    assert {type(make()).__name__ for make in CELLS.values()} == PUBLIC_CELLS


def test_rnn() -> None:
    layer, w = built("rnn")

    def step():
        return lambda x, h: np.tanh(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])

    np.testing.assert_allclose(layer(inputs()), run(step, np.zeros(UNITS)), rtol=1e-10)


def test_t_net() -> None:
    layer, w = built("t-net-rnn")

    def step():
        return lambda x, h: np.tanh(
            h @ w["recurrent_kernel"] @ w["state_warp/kernel"]
            + x @ w["kernel"] @ w["input_warp/kernel"]
            + w["bias"]
        )

    np.testing.assert_allclose(layer(inputs()), run(step, np.zeros(UNITS)), rtol=1e-10)


@pytest.mark.parametrize("name", ["warp-rnn", "hyper-rnn"])
def test_modulated_cells_compute_equation_16(name: str) -> None:
    layer, w = built(name)
    # Matrices act from the left here, as in the paper.
    V, W, b = w["recurrent_kernel"].T, w["kernel"].T, w["bias"]
    P = w["modulator/projection"].T

    def step():
        z, c = np.zeros(3), np.zeros(3)

        def remember(x: np.ndarray, h: np.ndarray) -> np.ndarray:
            nonlocal z, c
            gates = x @ w["modulator/kernel"] + w["modulator/bias"]
            gates = gates + np.concatenate([h, z]) @ w["modulator/recurrent_kernel"]
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            z = sigmoid(o) * np.tanh(c)
            scales = np.split(np.tanh(P @ z), np.cumsum([UNITS] * 4))
            u1_h, u2_h, u2_x, u_b, u1_x = (np.diag(part) for part in scales)
            return np.tanh(u2_h @ V @ u1_h @ h + u2_x @ W @ u1_x @ x + u_b @ b)

        return remember

    np.testing.assert_allclose(layer(inputs()), run(step, np.zeros(UNITS)), rtol=1e-10)


@pytest.mark.parametrize("retroactive", [False, True])
def test_hebbian_traces(retroactive: bool) -> None:
    layer, w = built("retro-hebb-rnn" if retroactive else "hebb-rnn")
    # Large enough that traces are clipped.
    layer.cell.modulation_kernel.assign(3.0 * w["modulation_kernel"])
    layer.cell.modulation_bias.assign([2.0])
    m, n = 3.0 * w["modulation_kernel"], 2.0
    clipped = 0

    def step():
        hebb, trace = np.zeros((UNITS, UNITS)), np.zeros((UNITS, UNITS))

        def remember(x: np.ndarray, before: np.ndarray) -> np.ndarray:
            nonlocal hebb, trace, clipped
            recurrent = w["recurrent_kernel"].T + w["plasticity"].T * hebb
            h = np.tanh(w["kernel"].T @ x + recurrent @ before + w["bias"])
            modulation = np.tanh(h @ m[:, 0] + n)
            outer = np.outer(h, before)
            grown = hebb + modulation * (trace if retroactive else outer)
            hebb = np.clip(grown, -1.0, 1.0)
            clipped += int(np.sum(grown != hebb))
            if retroactive:
                trace = (1 - w["trace_rate"]) * trace + w["trace_rate"] * outer
            return h

        return remember

    if retroactive:
        layer.cell.trace_rate.assign(0.9)
        w["trace_rate"] = np.float64(0.9)
    np.testing.assert_allclose(layer(inputs()), run(step, np.zeros(UNITS)), rtol=1e-10)
    assert clipped > 0


@pytest.mark.parametrize("name", CELLS)
def test_cells_survive_a_keras_file(name: str, tmp_path) -> None:
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), keras.layers.RNN(CELLS[name]())])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(inputs()), loaded(inputs()))
    config = model.layers[-1].cell.get_config()
    assert json.dumps(config) == json.dumps(loaded.layers[-1].cell.get_config())


WARP_VARIABLES = {"warp-rnn": 4, "t-net-rnn": 2}


@pytest.mark.parametrize("name", CELLS)
def test_which_weights_are_warp_parameters(name: str) -> None:
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), keras.layers.RNN(CELLS[name]())])
    parts = warptf.partition(model)
    assert len(parts.warp_variables) == WARP_VARIABLES.get(name, 0)
    assert len(parts.task_variables) >= 3


@pytest.mark.parametrize("cls", [getattr(reinforcement, name) for name in sorted(PUBLIC_CELLS)])
@pytest.mark.parametrize("units", [0, -1, 2.5, True])
def test_bad_sizes_are_refused(cls: type, units: object) -> None:
    with pytest.raises(ValueError, match=r"units must be a positive integer"):
        cls(units)


def test_unknown_features_are_refused() -> None:
    with pytest.raises(ValueError, match="last axis"):
        reinforcement.RNNCell(4).build((None, None))


def test_warp_lstm_cell_computes_what_keras_own_does() -> None:
    own, theirs = warptf.layers.WarpLSTMCell(4), keras.layers.LSTMCell(4)
    for cell in (own, theirs):
        cell.build((None, FEATURES))
    for a, b in zip(own.trainable_variables, theirs.trainable_variables, strict=True):
        assert a.shape == b.shape
        b.assign(a)
    np.testing.assert_array_equal(own.bias, np.repeat([0.0, 1.0, 0.0, 0.0], 4))
    a, b = (keras.layers.RNN(cell, return_sequences=True)(inputs()) for cell in (own, theirs))
    np.testing.assert_allclose(a, b, rtol=1e-10)
