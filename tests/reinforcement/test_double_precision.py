"""Agents in `float64` learn in it: the gradients are those of the loss, to ten digits."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.numerics import double_precision
from reinforcement.chain import Chain

import warptf
from warptf import reinforcement

DISCOUNT = 0.9


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with double_precision():
        yield


def loss_of(agent: Any, record: Any, advantage: Any = None) -> tuple[float, Any]:
    """The loss of recorded episodes, and the advantages, from the agent's own call."""
    x = tf.transpose(tf.cast(record.observations, tf.float64), [1, 0, 2])
    logits, values = (np.array(part) for part in agent(x))
    rewards, actions, alive = (
        np.array(part).T for part in (record.rewards, record.actions, record.alive)
    )
    returns = np.zeros_like(values)
    later = np.zeros(len(values))
    for t in reversed(range(values.shape[1])):
        later = returns[:, t] = rewards[:, t] + DISCOUNT * later
    log_policy = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(log_policy, actions[..., None], -1)[..., 0]
    constant = returns - values if advantage is None else advantage
    by_step = -chosen * constant + 0.1 * (returns - values) ** 2
    by_step += 0.03 * np.exp(2 * log_policy).sum(-1)
    return float((alive * by_step).sum() / alive.sum()), constant


@pytest.mark.parametrize(
    "cell",
    [
        lambda: reinforcement.WarpRNNCell(3),
        pytest.param(lambda: keras.layers.GRUCell(3), marks=pytest.mark.slow),
    ],
)
def test_gradients_are_those_of_the_loss(cell: Any) -> None:
    agent = reinforcement.RecurrentAgent(cell(), 2, 2)
    learner = warptf.ContinualMetaLearner(agent, warp_update_interval=1)
    experience = reinforcement.ActorCritic(Chain(5, ends=True), 3, DISCOUNT)
    learner.compile(keras.optimizers.SGD(1.0), experience)
    functional = learner._learner
    theta, phi = functional.initial_theta(), functional.warp_values()
    seed, numbers = tf.constant([3, 4]), next(iter(experience.batches(1)))
    record = experience.record(functional, theta, phi, numbers, seed, "support")
    assert {record.rewards.dtype, record.outputs.dtype, record.alive.dtype} == {tf.float64}
    learned = experience.learn(functional, theta, phi, record, seed)
    expected, advantage = loss_of(agent, record)
    np.testing.assert_allclose(float(learned.loss), expected, rtol=1e-12)
    variables = [*functional.theta_variables, *functional.partition.warp_variables]
    random, size = np.random.default_rng(0), 1e-4
    for variable, gradient in zip(variables, [*learned.theta, *learned.phi], strict=True):
        before, direction = np.array(variable), random.normal(size=variable.shape)
        values = []
        for steps in (-2, -1, 1, 2):
            variable.assign(before + steps * size * direction)
            values.append(loss_of(agent, record, advantage)[0])
        variable.assign(before)
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * size)
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-8, atol=1e-11)
    history = learner.fit(experience.batches(2), verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert {v.dtype for v in agent.trainable_variables} == {"float64"}
    learner.evaluate(experience.batches(1), verbose=0)
