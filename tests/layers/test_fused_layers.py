"""Our batch norm and pooling against Keras' own: values, first derivatives, and second ones.

The second derivatives are measured against central differences of Keras' first ones in float64.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from warptf import layers

SHAPE = (6, 5, 4, 3)
RNG = np.random.default_rng(0)
X = RNG.normal(1.0, 2.0, SHAPE)
GAMMA, BETA = np.array([0.0, 1.3, -0.7]), RNG.normal(size=3)
DIRECTIONS = [RNG.normal(size=SHAPE), RNG.normal(size=3), RNG.normal(size=3)]
WEIGHTS = RNG.normal(size=SHAPE)

Sources = list[tf.Tensor]


def _tensors(values: list[np.ndarray], dtype: str) -> Sources:
    return [tf.constant(v, dtype) for v in values]


def _gradient(function: Callable[[Sources], tf.Tensor], sources: Sources) -> Sources:
    with tf.GradientTape() as tape:
        tape.watch(sources)
        loss = function(sources)
    return tape.gradient(loss, sources)


def _double_tape(
    function: Callable[[Sources], tf.Tensor], sources: Sources, along: Sources
) -> Sources:
    with tf.GradientTape() as tape:
        tape.watch(sources)
        gradient = _gradient(function, sources)
    return tape.gradient(gradient, sources, output_gradients=along)


def _differences(
    function: Callable[[Sources], tf.Tensor], sources: Sources, along: Sources, step: float = 1e-5
) -> Sources:
    ahead = _gradient(function, [s + step * d for s, d in zip(sources, along, strict=True)])
    behind = _gradient(function, [s - step * d for s, d in zip(sources, along, strict=True)])
    return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]


def _normalised(layer: keras.layers.Layer, dtype: str) -> Callable[[Sources], tf.Tensor]:
    layer.build(SHAPE)

    def loss(sources: Sources) -> tf.Tensor:
        x, gamma, beta = sources
        with keras.StatelessScope(state_mapping=[(layer.gamma, gamma), (layer.beta, beta)]):
            y = layer(x, training=True)
        return tf.reduce_sum(tf.sin(y) * y * tf.constant(WEIGHTS, dtype))

    return loss


def _pooled(layer: keras.layers.Layer, dtype: str) -> Callable[[Sources], tf.Tensor]:
    def loss(sources: Sources) -> tf.Tensor:
        return tf.reduce_sum(tf.sin(layer(sources[0])) ** 2)

    return loss


SETTINGS: dict[str, Any] = {"momentum": 0.9, "epsilon": 1e-3}


def test_batch_norm_has_keras_values_statistics_and_gradients() -> None:
    ours, keras_own = (
        layers.BatchNormalization(**SETTINGS),
        keras.layers.BatchNormalization(**SETTINGS),
    )
    sources = _tensors([X, GAMMA, BETA], "float32")
    for mine, theirs in zip(
        _gradient(_normalised(ours, "float32"), sources),
        _gradient(_normalised(keras_own, "float32"), sources),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        ours(sources[0], training=True), keras_own(sources[0], training=True), atol=1e-5
    )
    np.testing.assert_allclose(ours.moving_mean, keras_own.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, keras_own.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(ours(sources[0]), keras_own(sources[0]), atol=1e-5)


def test_batch_norm_has_exact_second_derivatives() -> None:
    ours = _double_tape(
        _normalised(layers.BatchNormalization(**SETTINGS), "float32"),
        _tensors([X, GAMMA, BETA], "float32"),
        _tensors(DIRECTIONS, "float32"),
    )
    stock = keras.layers.BatchNormalization(dtype="float64", **SETTINGS)
    truth = _differences(
        _normalised(stock, "float64"),
        _tensors([X, GAMMA, BETA], "float64"),
        _tensors(DIRECTIONS, "float64"),
    )
    for mine, true in zip(ours, truth, strict=True):
        assert np.linalg.norm(mine.numpy() - true.numpy()) < 1e-4 * np.linalg.norm(true)


def test_batch_norm_refuses_third_derivatives() -> None:
    loss = _normalised(layers.BatchNormalization(**SETTINGS), "float32")
    sources = _tensors([X, GAMMA, BETA], "float32")
    along = _tensors(DIRECTIONS, "float32")
    with pytest.raises(LookupError, match="third derivatives"), tf.GradientTape() as tape:
        tape.watch(sources)
        second = _double_tape(loss, sources, along)
        tape.gradient(second, sources)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"axis": 1}, SHAPE),
        ({"scale": False}, SHAPE),
        ({"center": False}, SHAPE),
        ({"dtype": "float64"}, SHAPE),
        ({}, (6, 3)),
        ({"trainable": False}, SHAPE),
    ],
    ids=str,
)
def test_batch_norm_goes_keras_way_for_other_settings(
    settings: dict[str, Any], shape: tuple[int, ...]
) -> None:
    x = RNG.normal(2.0, 3.0, shape).astype("float32")
    ours, keras_own = (
        layers.BatchNormalization(**settings),
        keras.layers.BatchNormalization(**settings),
    )
    np.testing.assert_array_equal(ours(x, training=True), keras_own(x, training=True))


@pytest.mark.parametrize("size", [2, 3])
def test_pooling_has_keras_values_and_exact_derivatives(size: int) -> None:
    ours = _pooled(layers.MaxPooling2D(size), "float32")
    stock = _pooled(keras.layers.MaxPooling2D(size, dtype="float64"), "float64")
    single, double = _tensors([X], "float32"), _tensors([X], "float64")
    np.testing.assert_allclose(ours(single), stock(double), rtol=1e-5)
    np.testing.assert_allclose(
        _gradient(ours, single)[0], _gradient(stock, double)[0], rtol=1e-4, atol=1e-6
    )
    mine = _double_tape(ours, single, _tensors(DIRECTIONS[:1], "float32"))[0]
    true = _differences(stock, double, _tensors(DIRECTIONS[:1], "float64"), step=1e-6)[0]
    assert np.linalg.norm(mine.numpy() - true.numpy()) < 1e-4 * np.linalg.norm(true)


def test_pooling_has_third_derivatives_too() -> None:
    along = _tensors(DIRECTIONS[:1], "float32")

    def along_second(loss: Callable[[Sources], tf.Tensor]) -> Callable[[Sources], tf.Tensor]:
        return lambda sources: tf.reduce_sum(_double_tape(loss, sources, along)[0])

    ours = _gradient(
        along_second(_pooled(layers.MaxPooling2D(2), "float32")), _tensors([X], "float32")
    )
    double = _tensors([X], "float64")
    stock = along_second(_pooled(keras.layers.MaxPooling2D(2, dtype="float64"), "float64"))
    along = _tensors(DIRECTIONS[:1], "float64")
    np.testing.assert_allclose(ours[0], _gradient(stock, double)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"strides": 1}, {"padding": "same"}, {"pool_size": (2, 1)}, {"data_format": "channels_last"}],
    ids=str,
)
def test_pooling_goes_keras_way_for_other_settings(settings: dict[str, Any]) -> None:
    x = X.astype("float32")
    np.testing.assert_array_equal(
        layers.MaxPooling2D(**settings)(x), keras.layers.MaxPooling2D(**settings)(x)
    )


@pytest.mark.parametrize("layer", [layers.BatchNormalization(momentum=0.8), layers.MaxPooling2D(3)])
def test_layers_survive_saving(layer: keras.layers.Layer, tmp_path: Any) -> None:
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is type(layer)
    np.testing.assert_array_equal(loaded(X.astype("float32")), model(X.astype("float32")))
