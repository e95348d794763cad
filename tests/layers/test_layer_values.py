"""Each layer against its equation written out in NumPy."""

import keras
import numpy as np
import pytest

from warptf import layers

RNG = np.random.default_rng(0)
EPSILON = 1e-5


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | float = 0.0) -> np.ndarray:
    """A convolution with stride 1 and zero padding to the same size, pixel by pixel."""
    height, width, channels, filters = kernel.shape
    top, left = (height - 1) // 2, (width - 1) // 2
    padded = np.pad(x, ((0, 0), (top, height - 1 - top), (left, width - 1 - left), (0, 0)))
    out = np.zeros((*x.shape[:3], filters))
    for b, i, j, f in np.ndindex(*out.shape):
        out[b, i, j, f] = np.sum(padded[b, i : i + height, j : j + width] * kernel[..., f])
    return out + bias


def normalise(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Batch norm with the batch's own statistics."""
    axes = tuple(range(x.ndim - 1))
    return gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + EPSILON) + beta


def randomised(layer: keras.layers.Layer, x: np.ndarray) -> dict[str, np.ndarray]:
    """Builds a layer on x, gives it random weights and returns them by the end of their path."""
    layer(x)
    for variable in layer.trainable_variables:
        variable.assign(RNG.normal(size=variable.shape))
    path = layer.path + "/"
    return {v.path.removeprefix(path): np.array(v.numpy()) for v in layer.variables}


def image(channels: int = 3) -> np.ndarray:
    return RNG.normal(size=(2, 4, 5, channels))


@pytest.fixture(autouse=True)
def double_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def test_scale() -> None:
    layer, x = layers.WarpScale(), image()
    np.testing.assert_array_equal(layer(x), x)
    weights = randomised(layer, x)
    np.testing.assert_allclose(layer(x), x * weights["scale"])


@pytest.mark.parametrize("cls", [layers.WarpFiLM, layers.FiLMTaskEmbedding])
@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 5, 3)])
def test_film(cls: type, shape: tuple[int, ...]) -> None:
    layer, x = cls(), RNG.normal(size=shape)
    np.testing.assert_array_equal(layer(x), x)
    weights = randomised(layer, x)
    np.testing.assert_allclose(layer(x), x * (1 + weights["gamma"]) + weights["beta"])


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 5, 3)])
def test_context_film(shape: tuple[int, ...]) -> None:
    layer, x = layers.ContextFiLM(5), RNG.normal(size=shape)
    np.testing.assert_array_equal(layer(x), x)
    assert not np.any(layer.bias) and np.all(layer.kernel.numpy())
    w = randomised(layer, x)
    assert w["kernel"].shape == (5, 2 * 3)
    modulation = w["context/vector"] @ w["kernel"] + w["bias"]
    np.testing.assert_allclose(layer(x), x * (1 + modulation[:3]) + modulation[3:], rtol=1e-12)


def test_dense() -> None:
    layer, x = layers.WarpDense(2, activation="tanh"), RNG.normal(size=(4, 6, 3))
    w = randomised(layer, x)
    np.testing.assert_allclose(layer(x), np.tanh(x @ w["kernel"] + w["bias"]), rtol=1e-12)


def test_dense_starts_as_the_identity_when_asked_to() -> None:
    x = RNG.normal(size=(4, 3))
    np.testing.assert_array_equal(layers.WarpDense(kernel_initializer="identity")(x), x)


def test_residual_dense() -> None:
    layer, x = layers.WarpResidualDense(5), RNG.normal(size=(4, 3))
    w = randomised(layer, x)
    hidden = np.tanh(x @ w["hidden/kernel"] + w["hidden/bias"])
    expected = x + hidden @ w["output_map/kernel"] + w["output_map/bias"]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12)


@pytest.mark.parametrize("kernel_size", [1, 3, (2, 3)])
def test_linear_convolution(kernel_size: int | tuple[int, int]) -> None:
    layer, x = layers.WarpConv2D(kernel_size=kernel_size), image()
    w = randomised(layer, x)
    expected = convolve(x, w["block_0/convolution/kernel"], w["block_0/convolution/bias"])
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10, atol=1e-12)


def test_convolution_normalises_its_input_then_convolves_then_activates() -> None:
    layer, x = layers.WarpConv2D(2, activation="relu", batch_normalization=True), image()
    w = {name.removeprefix("block_0/"): value for name, value in randomised(layer, x).items()}
    h = normalise(x, w["input_norm/gamma"], w["input_norm/beta"])
    expected = np.maximum(convolve(h, w["convolution/kernel"], w["convolution/bias"]), 0)
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-10, atol=1e-12)


def residual_block(x: np.ndarray, weights: dict[str, np.ndarray], block: str) -> np.ndarray:
    w = {n.removeprefix(block): value for n, value in weights.items() if n.startswith(block)}
    h = normalise(x, w["input_norm/gamma"], w["input_norm/beta"])
    h = np.maximum(convolve(h, w["convolution/kernel"], w["convolution/bias"]), 0)
    projected = "projection/kernel" in w
    h = h + (convolve(x, w["projection/kernel"]) if projected else x)
    return normalise(h, w["output_norm/gamma"], w["output_norm/beta"])


def test_residual_convolution() -> None:
    layer, x = layers.WarpResidualConv2D(activation="relu"), image()
    weights = randomised(layer, x)
    expected = residual_block(x, weights, "block_0/")
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-9, atol=1e-11)


def test_two_residual_convolutions_with_an_embedding_between() -> None:
    layer = layers.WarpResidualConv2D(
        blocks=2, hidden_filters=4, activation="relu", task_embedding=True
    )
    x = image()
    weights = randomised(layer, x)
    h = residual_block(x, weights, "block_0/")
    h = h * (1 + weights["task_embedding/gamma"]) + weights["task_embedding/beta"]
    expected = residual_block(h, weights, "block_1/")
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-8, atol=1e-10)


def test_two_blocks_have_128_hidden_filters_by_default() -> None:
    layer = layers.WarpResidualConv2D(blocks=2)
    layer.build((None, 4, 4, 3))
    assert layer.stages[0].compute_output_shape((None, 4, 4, 3))[-1] == 128


def test_moving_statistics_have_momentum_nine_tenths() -> None:
    layer, x = layers.WarpConv2D(batch_normalization=True), image()
    layer(x, training=True)
    moving = {v.name: np.array(v.numpy()) for v in layer.non_trainable_variables}
    np.testing.assert_allclose(moving["moving_mean"], 0.1 * x.mean((0, 1, 2)))
    np.testing.assert_allclose(moving["moving_variance"], 0.9 + 0.1 * x.var((0, 1, 2)))


def test_warp_calls_what_it_wraps() -> None:
    dense, x = keras.layers.Dense(2, activation="tanh"), RNG.normal(size=(4, 3))
    layer = layers.Warp(dense)
    np.testing.assert_array_equal(layer(x), dense(x))
    assert layer.name == f"warp_{dense.name}"
