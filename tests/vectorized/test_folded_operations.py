"""Layers between convolutions of all tasks at once are those of one task after the other."""

from collections.abc import Callable

import keras
import pytest
import tensorflow as tf
from vectorized.functions import TASKS, assert_same, normal, with_derivatives

import warptf
from warptf.vectorized import convolution_form

IMAGES, FILTERS, SHARED = normal(TASKS, 2, 4, 4, 2), normal(TASKS, 3, 3, 2, 4), normal(3, 3, 4, 4)
VECTOR = normal(TASKS, 4)


def built(layer: type) -> keras.layers.Layer:
    norm = layer()
    norm.build((None, 4, 4, 4))
    return norm


NORMS = {
    layer: built(layer)
    for layer in (keras.layers.BatchNormalization, warptf.layers.BatchNormalization)
}


def normalised(layer: type, x: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """The layer's outputs, with a scale for each task."""
    norm = NORMS[layer]
    values = [(norm.gamma, scale), (norm.beta, scale)]
    constant = [(v, tf.convert_to_tensor(v.value)) for v in norm.non_trainable_variables]
    with keras.StatelessScope(state_mapping=[*values, *constant]):
        return norm(x, training=True)


BETWEEN: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "keras batch norm": lambda x, v: normalised(keras.layers.BatchNormalization, x, v),
    "warptf batch norm": lambda x, v: normalised(warptf.layers.BatchNormalization, x, v),
    "bias, softplus": lambda x, v: tf.nn.softplus(tf.nn.bias_add(x, v)),
    "shared bias, tanh": lambda x, v: tf.tanh(x + SHARED[0, 0, 0]) * v,
    "scalars": lambda x, v: tf.sigmoid(x * v[0] + 2.0) - tf.reduce_mean(x),
    "pooling": lambda x, v: tf.nn.avg_pool2d(tf.nn.max_pool2d(x, 2, 1, "SAME"), 2, 2, "VALID"),
    "means of channels": lambda x, v: x - tf.reduce_mean(x, [0, 1, 2], keepdims=True) * v,
    "means of images": lambda x, v: x - tf.reduce_mean(x, [1, 2], keepdims=True),
    "maxima": lambda x, v: tf.where(x > tf.reduce_mean(x), tf.square(x), tf.maximum(x, v)),
    "one channel": lambda x, v: x * tf.reduce_sum(x, -1, keepdims=True),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_values_and_first_derivatives(name: str) -> None:
    def block(x: tf.Tensor, f: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        x = BETWEEN[name](tf.nn.conv2d(tf.sin(x), f, 1, "SAME"), v)
        return tf.nn.conv2d(tf.tanh(x), SHARED, 1, "SAME")

    def gradient(inputs: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = tf.reduce_mean(tf.tanh(block(*inputs)))
        return [value, *tape.gradient(value, inputs, unconnected_gradients="zero")]

    assert_same(gradient, (IMAGES, FILTERS, VECTOR))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["groups", "mixed", "patches"])
@pytest.mark.parametrize("name", BETWEEN)
def test_second_derivatives(name: str, form: str) -> None:
    def block(x: tf.Tensor, f: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        x = BETWEEN[name](tf.nn.conv2d(tf.sin(x), f, 1, "SAME"), v)
        return tf.nn.conv2d(tf.tanh(x), SHARED, 1, "SAME")

    with convolution_form(form):
        assert_same(with_derivatives(block), (IMAGES, FILTERS, VECTOR), rtol=1e-3)
