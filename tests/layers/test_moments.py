"""The normalisation layers' second derivatives, and the moments behind them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.layer import check_gradients

from warptf.layers.moments import moments

NORMALISATIONS = {
    "batch": lambda **k: keras.layers.BatchNormalization(**k),
    "layer": lambda **k: keras.layers.LayerNormalization(**k),
    "group": lambda **k: keras.layers.GroupNormalization(3, **k),
}
SMOOTH = {
    "attention": lambda **k: SelfAttention(**k),
    "gru": lambda **k: keras.layers.GRU(2, use_cudnn=False, **k),
    "convolution": lambda **k: keras.layers.Conv1D(2, 3, **k),
    "bidirectional": lambda **k: keras.layers.Bidirectional(keras.layers.SimpleRNN(2, **k), **k),
}


class SelfAttention(keras.layers.Layer):
    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.attention = keras.layers.MultiHeadAttention(1, 2, dtype=self.dtype_policy)

    def build(self, input_shape) -> None:
        self.attention.build(input_shape, input_shape)

    def call(self, inputs):
        return self.attention(inputs, inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("factory", [pytest.param(f, id=n) for n, f in NORMALISATIONS.items()])
def test_normalisations_of_keras_are_twice_differentiable(factory) -> None:
    check_gradients(factory, (4, 6))


@pytest.mark.few("gru", "attention")
@pytest.mark.parametrize("factory", [pytest.param(f, id=n) for n, f in SMOOTH.items()])
def test_other_layers_of_keras_are_twice_differentiable(factory) -> None:
    check_gradients(factory, (4, 3))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [[0], [0, 2], [1]])
def test_moments_are_numpys(axes: list[int], keepdims: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    mean, variance = moments(x, axes, keepdims=keepdims)
    np.testing.assert_allclose(mean, x.mean(tuple(axes), keepdims=keepdims), atol=1e-15)
    np.testing.assert_allclose(variance, x.var(tuple(axes), keepdims=keepdims))


def test_hessian_of_the_variance_is_the_centring_matrix() -> None:
    x = tf.constant([1.0, 2.0, 5.0, 7.0], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            variance = moments(x, [0])[1]
        gradient = tape.gradient(variance, x)
    # Var = x'(I - 11'/n)x / n, hence the Hessian 2 (I - 11'/n) / n.
    expected = 2 / 4 * (np.eye(4) - 1 / 4)
    np.testing.assert_allclose(outer.jacobian(gradient, x), expected, atol=1e-15)


def test_half_precision_sums_in_single_precision() -> None:
    x = tf.concat([tf.ones([4096], tf.float16), 3 * tf.ones([4096], tf.float16)], 0)
    mean, variance = moments(x, [0])
    assert (mean.dtype, float(mean), float(variance)) == (tf.float16, 2.0, 1.0)
