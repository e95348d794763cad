"""Resizing and softsign: TensorFlow's values and first derivatives, and exact second ones."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.layers.resize import resize
from warptf.layers.softsign import softsign

METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian")
sizes = st.integers(1, 6)


def images(height: int, width: int, dtype: str = "float32", seed: int = 0) -> tf.Tensor:
    values = np.random.default_rng(seed).normal(size=(2, height, width, 3))
    return tf.cast(values, dtype)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32"])
@pytest.mark.parametrize("method", METHODS)
def test_values_are_tensorflows_to_the_bit(method: str, dtype: str, antialias: bool) -> None:
    x = images(4, 5, dtype)
    ours = resize(x, (7, 3), method, antialias=antialias)
    theirs = tf.image.resize(x, (7, 3), method, antialias=antialias)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "area"])
def test_first_derivatives_are_tensorflows_to_the_bit(method: str) -> None:
    x, upstream = images(4, 5), images(7, 3, seed=1)
    gradients = []
    for function in (resize, tf.image.resize):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, (7, 3), method)
        gradients.append(tape.gradient(y, x, upstream))
    np.testing.assert_array_equal(*gradients)


@settings(max_examples=25)
@given(sizes, sizes, sizes, sizes, st.sampled_from(METHODS), st.booleans())
def test_the_derivative_is_the_transpose_and_its_derivative_the_resizing(
    height: int, width: int, new_height: int, new_width: int, method: str, antialias: bool
) -> None:
    x, dy = images(height, width), images(new_height, new_width, seed=1)
    u = images(height, width, seed=2)
    with tf.GradientTape() as outer:
        outer.watch(dy)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = resize(x, (new_height, new_width), method, antialias=antialias)
        dx = tape.gradient(y, x, dy)
    # <R x, dy> = <x, R' dy>, and the derivative of R' dy along u is R u.
    size = float(tf.norm(y) * tf.norm(dy))
    assert abs(float(tf.reduce_sum(y * dy) - tf.reduce_sum(x * dx))) < 1e-5 * (1 + size)
    second = outer.gradient(dx, dy, u)
    expected = tf.image.resize(u, (new_height, new_width), method, antialias=antialias)
    np.testing.assert_allclose(second, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("method", ["bicubic", "lanczos3", "area"])
def test_types_without_a_derivative_in_tensorflow_have_one(method: str, dtype: str) -> None:
    x, single = images(4, 5, dtype), images(4, 5)
    gradients = []
    for given_x in (x, single):
        with tf.GradientTape() as tape:
            tape.watch(given_x)
            y = tf.cast(resize(given_x, (3, 3), method), "float32")
            loss = tf.reduce_sum(images(3, 3, seed=1) * y)
        gradients.append(tape.gradient(loss, given_x))
    assert gradients[0].dtype == dtype
    np.testing.assert_allclose(tf.cast(gradients[0], "float32"), gradients[1], atol=0.02)


def test_unknown_sizes_single_images_and_xla() -> None:
    def curvature(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(resize(x, (4, 6), "bilinear") ** 3)
            gradient = tape.gradient(loss, x)
        return outer.gradient(gradient, x)

    x = images(2, 3)[0]
    expected = curvature(x)
    unknown = tf.function(curvature, input_signature=[tf.TensorSpec([None, None, 3])])
    np.testing.assert_allclose(unknown(x), expected, rtol=1e-5)
    compiled = tf.function(curvature, jit_compile=True)
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-4)
    # 6 y weighs the square of the weights that x has in y.
    basis = tf.image.resize(tf.reshape(tf.eye(6), [2, 3, 6]), (4, 6))
    y = tf.image.resize(x, (4, 6))
    rows = tf.einsum("hwp,hwq,hwc->pc", basis, basis, 6.0 * y)
    np.testing.assert_allclose(tf.reshape(expected, [6, 3]), rows, rtol=1e-4, atol=1e-4)


def test_softsign_has_tensorflows_values_and_three_exact_derivatives() -> None:
    x = tf.constant([-3.0, -0.5, 0.25, 2.0], tf.float64)
    np.testing.assert_array_equal(softsign(x), tf.nn.softsign(x))
    derivatives = []
    with tf.GradientTape() as third, tf.GradientTape() as second, tf.GradientTape() as first:
        for tape in (first, second, third):
            tape.watch(x)
        y = softsign(x)
        dy = first.gradient(y, x)
        ddy = second.gradient(dy, x)
    derivatives = [dy, ddy, third.gradient(ddy, x)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.softsign(x)
    np.testing.assert_array_equal(dy, tape.gradient(y, x))
    size, sign = 1.0 + np.abs(x), np.sign(x)
    for got, expected in zip(
        derivatives, (size**-2, -2 * sign * size**-3, 6 * size**-4), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
