"""Loops and conditions of all tasks at once are those of one task after the other."""

import tensorflow as tf
from vectorized.functions import TASKS, assert_same, normal

STEPS = 4
Pair = tuple[tf.Tensor, tf.Tensor]


def descent(inputs: Pair) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradient descent, and the loss at each step."""
    x, w = inputs

    def step(k: tf.Tensor, w: tf.Tensor, seen: tf.TensorArray) -> tuple[object, ...]:
        with tf.GradientTape() as tape:
            tape.watch(w)
            loss = tf.reduce_mean(tf.square(tf.tanh(x @ w) - 1.0))
        return k + 1, w - 0.5 * tape.gradient(loss, w), seen.write(k, loss)

    seen = tf.TensorArray(tf.float32, STEPS, element_shape=())
    _, w, seen = tf.while_loop(
        lambda k, *_: k < STEPS, step, (tf.constant(0), w, seen), maximum_iterations=STEPS
    )
    return w, seen.stack()


INPUTS = (normal(TASKS, 5, 2), normal(TASKS, 2, 3, 1)[..., 0])


def test_a_loop_and_what_it_writes_along() -> None:
    assert_same(descent, INPUTS, unknown=True)


def test_a_derivative_through_a_loop() -> None:
    def through(inputs: Pair) -> tf.Tensor:
        x, w = inputs
        with tf.GradientTape() as tape:
            tape.watch(w)
            loss = tf.reduce_mean(tf.square(x @ descent((x, w))[0] - 1.0))
        return tape.gradient(loss, w)

    assert_same(through, INPUTS, unknown=True)


def test_a_recurrence_over_what_differs_between_tasks() -> None:
    def gradient(inputs: Pair) -> list[tf.Tensor]:
        x, w = inputs
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            entries = tf.TensorArray(tf.float32, 5).unstack(x)
            _, state = tf.while_loop(
                lambda k, _: k < 5,
                lambda k, s: (k + 1, tf.tanh(tf.linalg.matvec(w, entries.read(k), True) + s)),
                (tf.constant(0), tf.zeros([3])),
            )
            value = tf.reduce_sum(state)
        return tape.gradient(value, [x, w])

    assert_same(gradient, INPUTS)


def test_loops_that_end_at_different_times() -> None:
    def grown(inputs: Pair) -> tuple[tf.Tensor, tf.Tensor]:
        count, w = inputs
        return tf.while_loop(
            lambda k, _: k < count, lambda k, w: (k + 1, 1.5 * w), (tf.constant(0), w)
        )

    assert_same(grown, (tf.constant([1, 3, 0]), INPUTS[1]), unknown=True)


def test_conditions_that_differ_and_that_do_not() -> None:
    everywhere = tf.Variable(True)

    def chosen(inputs: Pair) -> list[tf.Tensor]:
        count, w = inputs
        return [
            tf.cond(count > 2, lambda: w + 1.0, lambda: w - 1.0),
            tf.cond(everywhere, lambda: 2.0 * w, lambda: w),
            tf.cond(everywhere, lambda: tf.ones([2]), lambda: tf.zeros([2])) * w[:, 0],
        ]

    assert_same(chosen, (tf.constant([1, 3, 0]), INPUTS[1]), unknown=True)


def test_a_function_that_is_called() -> None:
    @tf.function(autograph=False)
    def inner(w: tf.Tensor) -> tf.Tensor:
        return tf.square(w) + tf.reduce_sum(w)

    assert_same(lambda w: inner(w), INPUTS[1])
