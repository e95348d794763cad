"""What can be computed at once is what it is in turns; what cannot is named."""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor
from vectorized.functions import (
    TASKS,
    assert_same,
    at_once,
    normal,
    with_derivatives,
)

from warptf.layers import MaxPooling2D
from warptf.vectorized import NotVectorizable

IMAGES = normal(TASKS, 2, 4, 4, 3)


def test_random_numbers_are_those_of_each_seed() -> None:
    def draws(seed: tf.Tensor) -> list[tf.Tensor]:
        own = tf.random.experimental.stateless_fold_in(seed, 3)
        return [
            tf.random.stateless_uniform([4], seed),
            tf.random.stateless_normal([2], own),
            tf.random.stateless_truncated_normal([2], own),
            tf.random.stateless_uniform([3], seed, 0, 99, tf.int32),
            tf.nn.experimental.stateless_dropout(tf.ones([9]), 0.5, seed),
        ]

    assert_same(draws, tf.constant([[1, 2], [3, 4], [5, 6]]), unknown=True, rtol=0.0)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"),
        lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
        MaxPooling2D(2),
    ],
    ids=["average", "maximum", "MaxPooling2D"],
)
def test_pooling_and_two_derivatives(pool: object) -> None:
    assert_same(with_derivatives(lambda x, w: pool(tf.sin(x) * w)), (IMAGES, normal(TASKS, 3)))


def test_small_operations() -> None:
    def small(x: tf.Tensor) -> list[tf.Tensor]:
        return [
            tf.nn.l2_loss(x),
            tf.linalg.global_norm([x, tf.square(x)]),
            tf.raw_ops.PreventGradient(input=x, message=""),
            tf.bitcast(x, tf.int32),
            tf.gather_nd(IMAGES, tf.cast(tf.abs(x[0, 0, 0, :2]) > 1.0, tf.int32)),
        ]

    assert_same(small, IMAGES, unknown=True)


def test_what_is_read_from_outside() -> None:
    variable, constant = tf.Variable([1.0, 2.0]), tf.constant([3.0, 4.0])
    assert_same(lambda x: x * variable + constant, normal(TASKS, 2))


def test_what_is_the_same_for_all_tasks_is_returned_for_each() -> None:
    same = at_once(lambda x: tf.ones([2]), normal(TASKS, 2), tf.TensorSpec([2]))
    np.testing.assert_array_equal(same[0], np.ones([TASKS, 2]))


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: tf.random.uniform([2]) + x, "operation RandomUniform of .* has effects"),
        (lambda x: tf.numpy_function(np.sin, [x], tf.float32), "operation PyFunc of .*effects"),
        (lambda x: tf.linalg.svd(x[tf.newaxis])[0], "operation Svd of 'Svd' has no form"),
        (lambda x: tf.reshape(x, tf.cast(x[:1], tf.int32)), "operation Reshape of .*Reshape"),
    ],
    ids=["state", "effects", "no converter", "a shape that differs"],
)
def test_what_cannot_be_computed_at_once_is_named(
    function: object, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotVectorizable) as raised:
        at_once(function, normal(TASKS, 2), tf.TensorSpec(None))
    assert re.search(named, str(raised.value)) and "\n" not in str(raised.value)
    assert not caplog.records


def test_tensorflow_is_left_as_it_was() -> None:
    before = dict(pfor._pfor_converter_registry)
    at_once(lambda x: tf.nn.l2_loss(x), IMAGES, tf.TensorSpec([]))
    with pytest.raises(NotVectorizable):
        at_once(lambda x: tf.linalg.svd(x)[0], IMAGES, tf.TensorSpec(None))
    assert before == pfor._pfor_converter_registry
