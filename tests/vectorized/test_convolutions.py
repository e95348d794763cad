"""Convolutions with a filter for each task are those of one task after the other."""

from collections.abc import Callable

import pytest
import tensorflow as tf
from vectorized.functions import TASKS, assert_same, normal, with_derivatives

from warptf.vectorized import convolution_form

IMAGES, FILTERS = normal(TASKS, 2, 5, 6, 2), normal(TASKS, 3, 3, 2, 4)


def convolution(stride: int = 1, padding: object = "SAME") -> Callable[..., tf.Tensor]:
    return lambda x, f: tf.nn.conv2d(x, f, stride, padding)


@pytest.mark.parametrize("form", ["groups", "patches"])
@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), (2, "VALID")])
def test_values_and_two_derivatives(form: str, stride: int, padding: str) -> None:
    with convolution_form(form):
        assert_same(with_derivatives(convolution(stride, padding)), (IMAGES, FILTERS))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["groups", "patches"])
@pytest.mark.parametrize(("stride", "padding"), [(2, "SAME"), (1, "VALID")])
def test_other_windows(form: str, stride: int, padding: str) -> None:
    with convolution_form(form):
        assert_same(with_derivatives(convolution(stride, padding)), (IMAGES, FILTERS), True)


def test_a_number_of_tasks_that_is_not_known() -> None:
    assert_same(with_derivatives(convolution()), (IMAGES, FILTERS), unknown=True)


def test_explicit_padding_and_filters_without_an_extent() -> None:
    padding = [[0, 0], [1, 0], [2, 1], [0, 0]]
    assert_same(lambda e: tf.nn.conv2d(*e, 1, padding), (IMAGES, FILTERS))
    with convolution_form("patches"):
        assert_same(with_derivatives(convolution()), (IMAGES, normal(TASKS, 1, 1, 2, 3)))


def test_filters_that_see_a_part_of_the_channels() -> None:
    """A layer's own groups are so many groups of each task; CPUs may lack their gradients."""
    assert_same(lambda e: tf.nn.conv2d(*e, 1, "SAME"), (IMAGES, normal(TASKS, 3, 3, 1, 4)))


@pytest.mark.parametrize("form", ["groups", "patches"])
def test_images_that_are_the_same_for_all_tasks(form: str) -> None:
    images = IMAGES[0]

    def gradient(f: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(f)
            value = tf.reduce_mean(tf.nn.conv2d(images, f, 1, "SAME") ** 2)
        return tape.gradient(value, f)

    with convolution_form(form):
        assert_same(gradient, FILTERS)


def test_filters_that_are_the_same_for_all_tasks_have_gradients_of_each() -> None:
    def gradient(x: tf.Tensor) -> list[tf.Tensor]:
        f = FILTERS[0]
        with tf.GradientTape() as tape:
            tape.watch([x, f])
            value = tf.reduce_mean(tf.nn.conv2d(x, f, 1, "SAME") ** 2)
        return tape.gradient(value, [x, f])

    assert_same(gradient, IMAGES)


def test_depthwise_and_transposed() -> None:
    def depthwise(x: tf.Tensor, f: tf.Tensor) -> tf.Tensor:
        return tf.nn.depthwise_conv2d(x, f, [1, 1, 1, 1], "SAME")

    def transposed(x: tf.Tensor, f: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d_transpose(x, f, [2, 10, 12, 3], 2, "SAME")

    assert_same(with_derivatives(depthwise), (IMAGES, FILTERS))
    assert_same(with_derivatives(transposed), (IMAGES, normal(TASKS, 3, 3, 3, 2)))


def test_half_precision() -> None:
    """Where there is no grouped kernel for a type, each task has the kernel of a single one."""
    half = [tf.cast(t, tf.bfloat16) for t in (IMAGES, FILTERS)]

    def gradient(inputs: tuple[tf.Tensor, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = tf.reduce_mean(tf.nn.conv2d(*inputs, 1, "SAME"))
        return [tf.cast(g, tf.float32) for g in tape.gradient(value, inputs)]

    assert_same(gradient, tuple(half), rtol=0.02)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be one of .* got 'loops'"):
        convolution_form("loops").__enter__()
