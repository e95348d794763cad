"""Gradients through recorded episodes against TensorFlow's own through the whole recurrence."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reinforcement.cells import CELLS, OTHER_CELLS, agent_of
from reinforcement.chain import Chain

from warptf.partition import FunctionalLearner
from warptf.reinforcement import collect, episode_draws, gradients_through_time

SEEDS = tf.constant([1, 2]), tf.constant([3, 4])


@pytest.fixture(autouse=True)
def double_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def loss(logits: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Any function of logits `[T, B, A]` and values `[T, B]` that all of them matter to."""
    time = tf.range(1, logits.shape[0] + 1, dtype=logits.dtype)[:, None]
    first = tf.reduce_sum(time * tf.nn.log_softmax(logits)[:, :, 0])
    return first + tf.reduce_sum((values - time) ** 2), tf.reduce_mean(values)


@pytest.mark.parametrize("segment_steps", [None, 1, 2])
@pytest.mark.parametrize("name", [*CELLS, *OTHER_CELLS])
def test_gradients_are_those_of_the_recurrence(name: str, segment_steps: int | None) -> None:
    learner = FunctionalLearner(agent_of((CELLS | OTHER_CELLS)[name]()))
    theta, phi = learner.initial_theta(), learner.warp_values()
    rollout = collect(learner, theta, phi, Chain(6), episode_draws(Chain(6), 3, SEEDS))
    found, mean, *gradients = gradients_through_time(
        learner, theta, phi, rollout, loss, segment_steps
    )
    state = learner.initial_state(tf.constant([0, 0]))
    with tf.GradientTape() as tape:
        tape.watch([theta, phi])
        observations = tf.transpose(tf.cast(rollout.observations, tf.float64), [1, 0, 2])
        logits, values = learner(theta, phi, state, observations, training=True).predictions
        expected, other = loss(tf.transpose(logits, [1, 0, 2]), tf.transpose(values))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(mean, other, rtol=1e-10)
    expected_gradients = tape.gradient(expected, [theta, phi])
    assert all(np.any(g) for g in tf.nest.flatten(expected_gradients))
    for a, b in zip(tf.nest.flatten(gradients), tf.nest.flatten(expected_gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("segment_steps", [0, 4, 7])
def test_segments_must_divide_the_steps(segment_steps: int) -> None:
    learner = FunctionalLearner(agent_of(CELLS["rnn"]()))
    theta = learner.initial_theta()
    rollout = collect(learner, theta, [], Chain(6), episode_draws(Chain(6), 3, SEEDS))
    with pytest.raises(ValueError, match="segment_steps must divide the 6 steps"):
        gradients_through_time(learner, theta, [], rollout, loss, segment_steps)


def test_xla_computes_the_same() -> None:
    keras.config.set_dtype_policy("float32")
    learner = FunctionalLearner(agent_of(CELLS["warp-rnn"]()))
    theta, phi = learner.initial_theta(), learner.warp_values()

    # XLA would draw other actions.
    rollout = collect(learner, theta, phi, Chain(6), episode_draws(Chain(6), 3, SEEDS))

    def compute() -> list[tf.Tensor]:
        value, _, *gradients = gradients_through_time(learner, theta, phi, rollout, loss, 3)
        return [value, *tf.nest.flatten(gradients)]

    plain, compiled = (tf.function(compute, jit_compile=jit)() for jit in (False, True))
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)
