"""Functions of one task, mapped over tasks one after the other and at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.vectorized import vectorized_map

TASKS = 3


def normal(*shape: int) -> tf.Tensor:
    """Random numbers, the same ones for the same shape."""
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape), tf.float32)


def in_turns(function: Callable[[Any], Any], elements: Any, signature: Any) -> list[tf.Tensor]:
    """What a function returns for one task after the other."""

    @tf.function(autograph=False)
    def run() -> Any:
        return tf.map_fn(function, elements, fn_output_signature=signature)

    return tf.nest.flatten(run())


def at_once(function: Callable[[Any], Any], elements: Any, signature: Any) -> list[tf.Tensor]:
    """What a function returns for all tasks at once, their number known."""

    @tf.function(autograph=False)
    def run() -> Any:
        return vectorized_map(function, elements, TASKS, signature)

    return tf.nest.flatten(run())


def of_unknown_number(
    function: Callable[[Any], Any], elements: Any, signature: Any
) -> list[tf.Tensor]:
    """What a function returns for all tasks at once, their number not known before."""
    specs = tf.nest.map_structure(lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), elements)

    @tf.function(autograph=False, input_signature=[specs])
    def run(elements: Any) -> Any:
        count = tf.shape(tf.nest.flatten(elements)[0])[0]
        return vectorized_map(function, elements, count, signature)

    return tf.nest.flatten(run(elements))


def signature_of(function: Callable[[Any], Any], elements: Any) -> Any:
    """The shapes and types of what a function returns for a task."""
    specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape[1:], t.dtype), elements)
    traced = tf.function(function, autograph=False).get_concrete_function(specs)
    return tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), traced.structured_outputs
    )


def assert_same(
    function: Callable[[Any], Any], elements: Any, unknown: bool = False, rtol: float = 1e-4
) -> None:
    """At once, a function returns what it does in turns."""
    signature = signature_of(function, elements)
    expected = in_turns(function, elements, signature)
    assert any(np.ptp(value, axis=0).any() for value in expected), "tasks are all the same"
    ways = [at_once, of_unknown_number] if unknown else [at_once]
    for way in ways:
        for one, other in zip(way(function, elements, signature), expected, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-5)


def with_derivatives(function: Callable[..., tf.Tensor]) -> Callable[[Any], list[tf.Tensor]]:
    """A function's value with its first derivatives and those of their squares."""

    def all_of(inputs: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        inputs = list(inputs)
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                value = tf.reduce_mean(tf.tanh(function(*inputs)))
            first = tape.gradient(value, inputs, unconnected_gradients="zero")
            squares = tf.add_n([tf.reduce_sum(tf.square(g)) for g in first])
        second = outer.gradient(squares, inputs, unconnected_gradients="zero")
        return [value, *first, *second]

    return all_of
