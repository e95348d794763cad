"""Gymnasium environments as a learner steps them."""

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.reinforcement import ActorCritic, GymnasiumEnvironment, RecurrentAgent, WarpRNNCell


def test_steps_are_those_of_gymnasium() -> None:
    environment = GymnasiumEnvironment("CartPole-v1", episodes=3, episode_length=60)
    state, observation = environment.reset(tf.constant([[0, 7], [0, 8], [1, 9]]))
    own = [gymnasium.make("CartPole-v1") for _ in range(3)]
    seeds = (7, 8, (9 + 2654435769) % 2**31)
    expected = [env.reset(seed=seed)[0] for env, seed in zip(own, seeds, strict=True)]
    np.testing.assert_array_equal(observation, expected)
    rng, alive = np.random.default_rng(0), np.ones(3)
    for _ in range(60):
        actions = rng.integers(0, 2, 3)
        np.testing.assert_array_equal(environment.alive(state), alive)
        state, observation, reward = environment.step(state, tf.constant(actions))
        for i, env in enumerate(own):
            if not alive[i]:
                assert reward[i] == 0
                continue
            seen, earned, terminated, truncated, _ = env.step(int(actions[i]))
            np.testing.assert_array_equal(observation[i], seen)
            assert reward[i] == earned
            alive[i] = not (terminated or truncated)
    assert not alive.any()


def test_an_agent_learns_to_balance_a_pole() -> None:
    keras.utils.set_random_seed(0)
    environment = GymnasiumEnvironment("CartPole-v1", episodes=8, episode_length=50)
    learner = warptf.ContinualMetaLearner(
        RecurrentAgent(WarpRNNCell(16, lstm_units=16), 4, 2), warp_update_interval=2
    )
    experience = ActorCritic(environment, episodes=8, discount=0.95)
    learner.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        task_optimizer=keras.optimizers.Adam(1e-2),
        loss=experience,
    )
    data = experience.batches(2)
    before = learner.evaluate(data, verbose=0, return_dict=True)["reward"]
    learner.fit(experience.batches(120), verbose=0)
    after = learner.evaluate(data, verbose=0, return_dict=True)["reward"]
    assert before < 30 < 40 < after


def test_a_saved_learner_has_its_environment(tmp_path) -> None:
    experience = ActorCritic(GymnasiumEnvironment("CartPole-v1", 2, episode_length=4), episodes=2)
    learner = warptf.ContinualMetaLearner(RecurrentAgent(WarpRNNCell(4, lstm_units=4), 4, 2))
    learner.compile(loss=experience)
    learner.fit(experience.batches(1), verbose=0)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.experience.environment.episode_length == 4
    loaded.fit(experience.batches(1), verbose=0)


def test_what_cannot_be_learned_from_is_refused() -> None:
    made = GymnasiumEnvironment(lambda: gymnasium.make("CartPole-v1"), 2, episode_length=5)
    with pytest.raises(ValueError, match="cannot be saved"):
        made.get_config()
    with pytest.raises(ValueError, match="2 episodes"):
        made.reset(tf.zeros([3, 2], tf.int32))
    for length in (-1, 0):
        with pytest.raises(ValueError, match=f"episode_length must be a positive.*{length}"):
            GymnasiumEnvironment("CartPole-v1", 2, episode_length=length)
