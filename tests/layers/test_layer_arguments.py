"""Wrong arguments, seeds, and what `Warp` passes on."""

import keras
import numpy as np
import pytest

from warptf import layers
from warptf.partition import partition


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: layers.WarpDense(0), "units must be a positive integer, got 0"),
        (lambda: layers.WarpDense(2.0), "units must be a positive integer, got 2.0"),
        (lambda: layers.WarpResidualDense(True), "units must be a positive integer, got True"),
        (lambda: layers.WarpConv2D(-1), "filters must be a positive integer, got -1"),
        (lambda: layers.WarpConv2D(kernel_size=(3, 3, 3)), "kernel_size .* got \\(3, 3, 3\\)"),
        (lambda: layers.WarpConv2D(kernel_size=0), "kernel_size must be .* got 0"),
        (lambda: layers.WarpConv2D(momentum=1.5), "momentum must lie between 0.0 and 1.0, got 1.5"),
        (lambda: layers.WarpConv2D(epsilon=-1.0), "epsilon must lie between .* got -1.0"),
        (lambda: layers.WarpResidualConv2D(blocks=3), "blocks must be 1 or 2, got 3"),
        (lambda: layers.WarpResidualConv2D(hidden_filters=8), "pass blocks=2"),
        (lambda: layers.WarpResidualConv2D(task_embedding=True), "pass blocks=2"),
        (lambda: layers.ContextFiLM(0), "context_size must be a positive integer, got 0"),
        (lambda: layers.Warp(keras.layers.LSTMCell(2)), "layer must not be an RNN cell"),
    ],
)
def test_wrong_values_are_named(make, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


def test_warp_takes_only_layers() -> None:
    with pytest.raises(TypeError, match="layer must be a keras.layers.Layer, got type"):
        layers.Warp(keras.layers.Dense)


@pytest.mark.parametrize(
    "cls", [layers.WarpDense, layers.WarpScale, layers.WarpFiLM, layers.ContextFiLM]
)
def test_unknown_number_of_channels_is_an_error(cls: type) -> None:
    with pytest.raises(ValueError, match="last axis has a known size"):
        cls()(keras.Input((None,)))


@pytest.mark.parametrize("cls", [layers.WarpConv2D, layers.WarpResidualConv2D])
def test_wrong_rank_is_an_error(cls: type) -> None:
    with pytest.raises(ValueError, match="expected ndim=4"):
        cls()(np.ones((2, 3), "float32"))


def test_a_seeded_layer_is_reproducible_and_its_kernels_differ() -> None:
    def build():
        seeded = keras.initializers.GlorotUniform(seed=3)
        layer = layers.WarpResidualConv2D(3, blocks=2, hidden_filters=3, kernel_initializer=seeded)
        layer.build((None, 4, 4, 3))
        return [np.array(v.numpy()) for v in layer.weights if v.path.endswith("convolution/kernel")]

    (first, second), again = build(), build()
    np.testing.assert_array_equal(first, again[0])
    assert first.shape == second.shape and not np.allclose(first, second)


def test_warp_passes_training_on() -> None:
    layer, x = layers.Warp(keras.layers.Dropout(0.5, seed=1)), np.ones((8, 8), "float32")
    np.testing.assert_array_equal(layer(x), x)
    assert set(np.unique(layer(x, training=True))) == {0.0, 2.0}


def test_warp_passes_masks_on() -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    mask = np.array([[True, True, False, False], [True, True, True, True]])
    lstm = keras.layers.LSTM(2)
    layer = layers.Warp(lstm)
    np.testing.assert_array_equal(layer(x, mask=mask), lstm(x, mask=mask))
    x[0, 2:] = 0.0
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))
    np.testing.assert_allclose(model(x), lstm(x, mask=mask), rtol=1e-6)


def test_warp_of_a_layer_with_several_inputs_is_saved_and_loaded(tmp_path) -> None:
    query, value = keras.Input((4, 3)), keras.Input((5, 3))
    attention = layers.Warp(keras.layers.MultiHeadAttention(2, 4))
    model = keras.Model([query, value], attention(query, value))
    assert len(partition(model).warp_variables) == 8
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 5, 3))]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert len(partition(loaded).warp_variables) == 8


def test_warp_of_a_subclassed_model_builds_with_its_first_call() -> None:
    class Twice(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(self.dense(inputs))

    model = keras.Sequential([keras.Input((3,)), layers.Warp(Twice())])
    assert [tuple(v.shape) for v in partition(model).warp_variables] == [(3, 3), (3,)]


def test_warp_in_time_distributed() -> None:
    layer = keras.layers.TimeDistributed(layers.Warp(keras.layers.Dense(2)))
    model = keras.Sequential([keras.Input((4, 3)), layer])
    assert model.output_shape == (None, 4, 2)
    assert len(partition(model).warp_variables) == 2


def test_dense_warps_let_masks_through() -> None:
    inputs = keras.Input((None, 3))
    x = layers.WarpFiLM()(layers.WarpDense()(keras.layers.Masking()(inputs)))
    model = keras.Model(inputs, keras.layers.LSTM(2)(layers.WarpScale()(x)))
    batch = np.random.default_rng(0).normal(size=(1, 4, 3)).astype("float32")
    batch[:, 2:] = 0.0
    np.testing.assert_allclose(model(batch), model(batch[:, :2]), rtol=1e-5)
