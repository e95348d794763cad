"""Episodes as they are lived, against the environment stepped by hand."""

import numpy as np
import tensorflow as tf
from reinforcement.cells import CELLS, agent_of
from reinforcement.chain import Chain

from warptf.partition import FunctionalLearner
from warptf.reinforcement import collect, episode_draws

SEEDS = tf.constant([1, 2]), tf.constant([3, 4])


def live(episodes: int = 4, greedy: bool = False, seeds=SEEDS, **chain):
    learner = FunctionalLearner(agent_of(CELLS["rnn"]()))
    theta = learner.initial_theta()
    environment = Chain(**chain)
    draws = episode_draws(environment, episodes, seeds, greedy)
    return learner, collect(learner, theta, [], environment, draws)


def test_a_rollout_is_what_the_environment_says_to_its_actions() -> None:
    _, rollout = live(episode_length=7)
    assert rollout.observations.shape == (7, 4, 2)
    environment = Chain(7)
    state, observation = environment.reset(episode_draws(environment, 4, SEEDS).seed)
    for t in range(7):
        np.testing.assert_array_equal(rollout.observations[t], observation)
        state, observation, reward = environment.step(state, rollout.actions[t])
        np.testing.assert_array_equal(rollout.rewards[t], reward)
    assert np.all(rollout.alive)
    assert set(np.unique(rollout.actions)) == {0, 1}


def test_states_and_outputs_are_those_of_the_cell() -> None:
    learner, rollout = live(episode_length=5)
    h = np.zeros((4, 4), "float32")
    for t in range(5):
        np.testing.assert_array_equal(rollout.states[0][t], h)
        output, (h,) = learner.model.cell(rollout.observations[t], [h])
        np.testing.assert_allclose(rollout.outputs[t], output, rtol=1e-6)


def test_actions_follow_the_policy() -> None:
    learner, rollout = live(episodes=4000, episode_length=1)
    logits, _ = learner.model.heads(rollout.outputs[0])
    expected = tf.nn.softmax(logits).numpy()[:, 1].mean()
    # Four standard deviations of a share of 4000 draws.
    assert abs(rollout.actions[0].numpy().mean() - expected) < 4 * 0.5 / np.sqrt(4000)


def test_greedy_actions_are_the_likeliest() -> None:
    learner, rollout = live(greedy=True)
    logits, _ = learner.model.heads(rollout.outputs)
    np.testing.assert_array_equal(rollout.actions, np.argmax(logits, axis=-1))


def test_seeds_alone_decide() -> None:
    (_, a), (_, b) = live(), live()
    np.testing.assert_array_equal(a.actions, b.actions)
    _, other = live(seeds=(SEEDS[0], tf.constant([5, 6])))
    np.testing.assert_array_equal(a.observations[0], other.observations[0])
    assert np.any(a.actions != other.actions)


def test_an_episode_is_the_same_without_the_others() -> None:
    learner, whole = live(episode_length=5)
    draws = episode_draws(Chain(5), 4, SEEDS)
    part = draws._replace(seed=draws.seed[1:3], noise=draws.noise[:, 1:3])
    rollout = collect(learner, learner.initial_theta(), [], Chain(5), part)
    np.testing.assert_array_equal(rollout.actions, whole.actions[:, 1:3])
    np.testing.assert_array_equal(rollout.observations, whole.observations[:, 1:3])


def test_episodes_that_end_are_marked() -> None:
    _, rollout = live(episode_length=5, ends=True)
    np.testing.assert_array_equal(tf.reduce_sum(rollout.alive, 0), [1, 2, 3, 4])
    assert not np.any(rollout.rewards[1:, 0])
