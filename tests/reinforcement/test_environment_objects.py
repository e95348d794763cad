"""Environments given as objects, of every kind, and what goes wrong inside of them."""

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Sequence, Text, Tuple
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from reinforcement.environments import BrokenEnv, NumPyEnv, OneSeedVectorEnv, SpacesEnv

import warptf
from warptf.reinforcement import ActorCritic, GymnasiumEnvironment, Player, RecurrentAgent

WORDS = st.integers(-(2**31), 2**31 - 1)


class Told(gymnasium.vector.VectorEnv):
    """Remembers the seeds that it is reset with."""

    num_envs, spec = 2, None
    single_observation_space = NumPyEnv.observation_space
    single_action_space = NumPyEnv.action_space

    def reset(self, *, seed=None, options=None):
        self.seeds = seed
        return np.zeros((2, 1)), {}


@settings(max_examples=30)
@given(st.tuples(WORDS, WORDS), st.tuples(WORDS, WORDS))
def test_seeds_have_31_bits_and_tell_episodes_apart(first, second) -> None:
    vector = Told()
    GymnasiumEnvironment(vector, 2, 5).reset(tf.constant([first, second]))
    for (high, low), seed in zip((first, second), vector.seeds, strict=True):
        assert seed == (low + 2654435769 * high) % 2**31 and isinstance(seed, int)
        np.random.RandomState(seed)


def run(environment: GymnasiumEnvironment, steps: int = 3) -> np.ndarray:
    """Observations and rewards of episodes from fixed seeds, `[T, B, 2]`."""
    state, seen = environment.reset(tf.constant([[-5, 3], [7, -1]]))
    rows = []
    for step in range(steps):
        state, after, reward = environment.step(state, tf.constant([step % 2, 1]))
        rows.append(np.concatenate([seen, reward[:, None]], 1))
        seen = after
    assert not np.any(environment.alive(state))
    return np.stack(rows)


def by_hand() -> np.ndarray:
    """The same of two environments that are stepped one after the other."""
    columns = []
    for i, (high, low) in enumerate([(-5, 3), (7, -1)]):
        env = NumPyEnv(bonus=4)
        seen, _ = env.reset(seed=(low + 2654435769 * high) % 2**31)
        rows = []
        for step in range(3):
            after, reward, *_ = env.step(1 if i else step % 2)
            rows.append([seen[0], reward])
            seen = after
        columns.append(rows)
    return np.stack(columns, 1)


GIVEN = {
    "environment": lambda: NumPyEnv(bonus=4),
    "wrapped": lambda: gymnasium.wrappers.TimeLimit(NumPyEnv(bonus=4), 3),
    "function": lambda: lambda: NumPyEnv(bonus=4),
    "vector": lambda: SyncVectorEnv([lambda: NumPyEnv(bonus=4)] * 2),
    "same step": lambda: SyncVectorEnv(
        [lambda: NumPyEnv(bonus=4)] * 2, autoreset_mode=AutoresetMode.SAME_STEP
    ),
    "function of a vector": lambda: lambda: SyncVectorEnv([lambda: NumPyEnv(bonus=4)] * 2),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_every_kind_of_object_is_stepped_as_by_hand(kind: str) -> None:
    np.testing.assert_array_equal(run(GymnasiumEnvironment(GIVEN[kind](), 2, 3)), by_hand())


def test_a_class_and_its_arguments() -> None:
    np.testing.assert_array_equal(run(GymnasiumEnvironment(NumPyEnv, 2, 3, bonus=4)), by_hand())


def test_limits_are_those_of_the_environment() -> None:
    cart = gymnasium.make("CartPole-v1", max_episode_steps=7)
    assert GymnasiumEnvironment(cart, 2).episode_length == 7
    assert GymnasiumEnvironment(lambda: cart.unwrapped, 1, 9).episode_length == 9
    made = GymnasiumEnvironment(gymnasium.spec("CartPole-v1"), 2)
    assert made.episode_length == 500 and made.get_config()["environment"] == "CartPole-v1"
    with pytest.raises(ValueError, match="episode_length is None and environment NumPyEnv has no"):
        GymnasiumEnvironment(NumPyEnv(), 2)


def test_a_vector_environment_that_knows_one_seed_repeats_itself() -> None:
    first, again = (run(GymnasiumEnvironment(OneSeedVectorEnv(), 2, 3), 2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    drawn = np.random.default_rng((3 - 2654435769 * 5) % 2**31).integers(1000, size=(2, 1))
    np.testing.assert_array_equal(first[0, :, :1], drawn)


class Uncopied(NumPyEnv):
    def __deepcopy__(self, memo):
        raise TypeError("a window cannot be copied")


REFUSED = {
    "nothing": (None, {}, TypeError, "must be an environment of Gymnasium, got builtins.NoneType"),
    "makes nothing": (
        lambda: 3,
        {},
        TypeError,
        "what environment makes must be an environment of Gymnasium, got builtins.int",
    ),
    "uncopied": (Uncopied(), {}, TypeError, r"copied.*a window.*pass a function that makes one"),
    "arguments": (NumPyEnv(), {"bonus": 1}, ValueError, r"made already, got \['bonus'\]"),
    "count": (
        SyncVectorEnv([NumPyEnv] * 3),
        {},
        ValueError,
        "episodes must be 3, as many as the vector environment of NumPyEnv has, got 2",
    ),
    "autoreset": (
        SyncVectorEnv([NumPyEnv] * 2, autoreset_mode=AutoresetMode.DISABLED),
        {},
        ValueError,
        "autoreset_mode 'Disabled'.*'NextStep' or 'SameStep'",
    ),
    **{
        str(space): (SpacesEnv(action=space), {}, TypeError, "discrete actions.*TransformAction")
        for space in (Box(-1, 1, (2,)), MultiDiscrete([2, 3]), MultiBinary(2))
    },
    **{
        str(space): (SpacesEnv(space), {}, TypeError, f"observed by numbers.*{wrapper}")
        for space, wrapper in [
            (Dict(a=Discrete(2), b=Box(0, 1, (2,))), "FlattenObservation"),
            (Tuple((Discrete(2), Discrete(3))), "FlattenObservation"),
            (Discrete(4), "FlattenObservation"),
            (Text(5), "FlattenObservation"),
            (Sequence(Discrete(2)), "TransformObservation"),
        ]
    },
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_stepped_is_refused_by_name(kind: str) -> None:
    environment, arguments, error, message = REFUSED[kind]
    with pytest.raises(error, match=message):
        GymnasiumEnvironment(environment, 2, 5, **arguments)


def test_the_remedies_are_remedies() -> None:
    actions = np.array([[-1.0, 0.0], [1.0, 0.5]], "float32")

    def make() -> gymnasium.Env:
        space = Dict(a=Discrete(2), b=Box(0, 1, (2,)))
        env = gymnasium.wrappers.FlattenObservation(SpacesEnv(space, Box(-1, 1, (2,))))
        return gymnasium.wrappers.TransformAction(
            env, lambda number: actions[number], Discrete(len(actions))
        )

    environment = GymnasiumEnvironment(make, 2, 5)
    assert (environment.observation_size, environment.action_count) == (4, 2)


def test_environments_of_gym_are_refused_in_one_line() -> None:
    gym = pytest.importorskip("gym")
    for given_ in (gym.Env(), gym.Env):
        with pytest.raises(TypeError, match=r"got gym\.core\.Env: .*GymV26CompatibilityV0"):
            GymnasiumEnvironment(given_, 1, 5)


def fails(*_: object) -> None:
    raise StopIteration("the simulator is gone")


BREAKS = {
    "raises": (fails, "environment BrokenEnv failed: StopIteration: the simulator is gone"),
    "text": (lambda s, r: (s, "one", False), "environment BrokenEnv failed: ValueError: could"),
    "reward": (lambda s, r: (s, np.nan, False), "the reward of episode 0 is not finite"),
    "observation": (lambda s, r: (s * np.inf, r, False), "the observation of episode 0 is not"),
    "no reward": (lambda s, r: (s, None, False), "the reward of episode 0 is not finite"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_what_goes_wrong_in_an_environment_is_said_in_its_words(kind: str) -> None:
    breaks, message = BREAKS[kind]
    environment = GymnasiumEnvironment(lambda: BrokenEnv(breaks), 2, 3)
    agent = RecurrentAgent(keras.layers.SimpleRNNCell(2), 1, 2)
    with pytest.raises(RuntimeError, match=message):
        Player(agent, environment, 2)(0)


def test_training_ends_with_the_words_of_the_environment() -> None:
    environment = GymnasiumEnvironment(lambda: BrokenEnv(fails), 2, 3)
    experience = ActorCritic(environment, episodes=2)
    learner = warptf.ContinualMetaLearner(RecurrentAgent(keras.layers.GRUCell(2), 1, 2))
    assert learner.objective is None
    learner.compile(loss=experience)
    for train in (learner.fit, learner.evaluate):
        with pytest.raises(RuntimeError, match="StopIteration: the simulator is gone") as error:
            train(experience.batches(2), verbose=0)
        assert isinstance(error.value.__cause__, StopIteration)


def test_what_comes_after_the_end_counts_for_nothing() -> None:
    """The last observation is NaN: nobody acts on it."""
    environment = GymnasiumEnvironment(lambda: BrokenEnv(lambda s, r: (s * np.nan, r, True)), 2, 3)
    rollout = Player(RecurrentAgent(keras.layers.SimpleRNNCell(2), 1, 2), environment, 2)(0)
    np.testing.assert_array_equal(rollout.alive, [[1, 1], [1, 1], [0, 0]])
    assert np.isfinite(rollout.observations).all() and np.isfinite(rollout.outputs).all()
