"""Operations without a right derivative are found wherever they stand, and their layer named."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from warptf.second_derivatives import check_second_derivatives

Call = Callable[[tf.Tensor], tf.Tensor]


def bad(x: tf.Tensor) -> tf.Tensor:
    """Has no second derivative."""
    return tf.raw_ops.Softsign(features=x)


class Calling(keras.layers.Layer):
    """Computes any function, which may call layers of its own."""

    def __init__(self, function: Any, inner: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function, self.inner = function, inner

    def call(self, x: Any) -> Any:
        return self.function(x) if self.inner is None else self.function(self.inner(x))


def check(*layers: keras.layers.Layer, loss: Call = tf.reduce_sum, by: Any = ("theta",)) -> None:
    """Checks a product of theta, layers one after another, and a loss."""

    class Chain(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="chain")
            self.parts = list(layers)

        def call(self, x: Any) -> Any:
            for layer in self.parts:
                x = layer(x)
            return x

    model = Chain()
    model(np.ones((2, 3), "float32"))

    def value(parameters: Any, x: Any) -> tf.Tensor:
        return loss(model(x * parameters["theta"][0]))

    def value_and_gradient(parameters: Any, x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(parameters["theta"])
            found = value(parameters, x)
        return found, tape.gradient(found, parameters["theta"])

    spec = tf.TensorSpec((2, 3))
    signature = ({"theta": [spec]}, spec)
    check_second_derivatives(model, value, value_and_gradient, signature, by, "this", "that")


def loop(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, bad(a)), (0, x))[1]


def branch(x: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.reduce_sum(x) > 0.0, lambda: bad(x), lambda: x)


def switch(x: tf.Tensor) -> tf.Tensor:
    return tf.switch_case(tf.size(x) % 2, [lambda: x, lambda: 2.0 * x, lambda: bad(x)])


def nested(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, branch(a)), (0, x))[1]


@tf.custom_gradient
def by_hand(x: tf.Tensor) -> Any:
    return tf.tanh(x), lambda dy: dy * tf.numpy_function(np.cos, [x], tf.float32)


PLACES = {
    "operation": bad,
    "loop": loop,
    "branch": branch,
    "switch": switch,
    "branch in a loop": nested,
    "function": tf.function(bad),
    "compiled function": tf.function(bad, jit_compile=True),
    "gradient by hand": by_hand,
    "unrolled map": lambda x: tf.map_fn(bad, x),
}


@pytest.mark.parametrize("function", PLACES.values(), ids=PLACES)
def test_the_layer_is_named(function: Call) -> None:
    with pytest.raises(ValueError, match=r"this differentiates .*layer 'it' \(Calling\) takes"):
        check(Calling(tf.tanh), Calling(function, name="it"), Calling(tf.square))


def test_an_inner_layer_is_named_by_its_path_and_two_layers_both() -> None:
    inner = Calling(bad, name="inner")
    with pytest.raises(ValueError, match="layer 'outer/inner'.*; layer 'other'"):
        check(Calling(tf.square, inner, name="outer"), Calling(bad, name="other"))


def test_activations_belong_to_their_layer_and_losses_to_none() -> None:
    with pytest.raises(ValueError, match="layer 'dense' .Dense. takes the operation SoftsignGrad"):
        check(keras.layers.Dense(3, activation=bad, name="dense"))
    with pytest.raises(ValueError, match="the loss takes the operation SoftsignGrad"):
        check(Calling(tf.tanh), loss=lambda x: tf.reduce_sum(bad(x)))


def test_a_first_derivative_that_is_missing_or_dropped_is_named() -> None:
    def area(x: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.ResizeArea(images=x[tf.newaxis, :, :, tf.newaxis], size=[2, 2])

    def colours(x: tf.Tensor) -> tf.Tensor:
        return tf.image.hsv_to_rgb(tf.nn.sigmoid(x))

    for function in (area, colours):
        with pytest.raises(ValueError, match=r"is wrong already: layer 'it' \(Calling\).*another"):
            check(Calling(function, name="it"))


@tf.custom_gradient
def clipped(x: tf.Tensor) -> Any:
    return tf.identity(x), lambda dy: tf.clip_by_value(dy, -1.0, 1.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + tf.stop_gradient(tf.round(x) - x),
        lambda x: x * tf.cast(tf.argmax(x), tf.float32),
        lambda x: x * tf.floor(x),
        lambda x: x + 0.0 * bad(tf.ones_like(x)),
        lambda x: tf.sort(x) + tf.cumsum(x),
        tf.nn.silu,
        tf.function(tf.tanh),
        clipped,
        lambda x: tf.map_fn(tf.tanh, x),
    ],
    ids=[
        "straight through",
        "whole numbers",
        "rounding",
        "apart from it",
        "sorting",
        "TensorFlow's own by hand",
        "function",
        "by hand",
        "loop",
    ],
)
def test_what_is_right_passes(function: Call) -> None:
    check(Calling(tf.square), Calling(function))
