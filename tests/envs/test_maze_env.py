"""The environment of Gymnasium: the graph's trajectories behind its interface."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import PassiveEnvChecker
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.envs import MAZE_ID, Maze, MazeEnv


@pytest.mark.parametrize("kwargs", [{}, {"size": 5, "wall_penalty": 0.5, "episode_length": 7}])
def test_gymnasium_finds_nothing_to_object_to(kwargs, monkeypatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    # Warnings are errors here. All render modes are tried as well.
    check_env(gymnasium.make(MAZE_ID, **kwargs).unwrapped)


def test_the_passive_checker_finds_nothing_to_object_to() -> None:
    env = PassiveEnvChecker(MazeEnv(episode_length=30, render_mode="rgb_array"))
    env.action_space.seed(0)
    env.reset(seed=0)
    truncated = False
    while not truncated:
        *_, truncated, _ = env.step(env.action_space.sample())
        env.render()
    env.close()


@settings(max_examples=10)
@given(
    seed=st.one_of(st.integers(0, 2**32), st.integers(2**63, 2**70)),
    actions=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    episodes=st.integers(1, 3),
)
def test_episodes_are_those_of_the_graph(seed: int, actions: list[int], episodes: int) -> None:
    env, maze = MazeEnv(7, 0.25, episode_length=12), Maze(7, 0.25, episode_length=12)
    for episode in range(episodes):
        observation, info = env.reset(seed=seed if episode == 0 else None)
        state, expected = maze.reset([seed % 2**63, episode])
        np.testing.assert_array_equal(observation, expected[0])
        for step, action in enumerate(actions, start=1):
            observation, reward, terminated, truncated, info = env.step(action)
            state, expected, expected_reward = maze.step(state, [action])
            np.testing.assert_array_equal(observation, expected[0])
            assert reward == expected_reward[0] and type(reward) is float
            assert info == {"goal": int(state.goal[0]), "position": int(state.position[0])}
            assert terminated is False and truncated is (step == 12)


def test_an_episode_ends_after_its_length_and_is_not_continued() -> None:
    env = gymnasium.make(MAZE_ID)
    env.reset(seed=0)
    truncated = [env.step(0)[3] for _ in range(200)]
    assert truncated == [False] * 199 + [True]
    with pytest.raises(gymnasium.error.ResetNeeded, match="ended after its 200 steps: call reset"):
        env.step(0)
    env.reset()
    env.step(0)


def test_without_a_seed_environments_differ_and_with_one_they_do_not() -> None:
    def goals(seed: int | None) -> list[int]:
        env = MazeEnv()
        first = env.reset(seed=seed)[1]["goal"]
        return [first, *(env.reset()[1]["goal"] for _ in range(9))]

    assert goals(3) == goals(3) != goals(4)
    assert goals(None) != goals(None)
    assert len(set(goals(3))) > 5


def test_the_goal_can_be_chosen_for_an_episode() -> None:
    env = MazeEnv(size=5)
    assert env.reset(seed=0, options={"goal": 7})[1] == {"goal": 7, "position": 12}
    _, reward, _, _, info = env.step(np.int64(0))
    assert reward == 10.0 and info["goal"] == 7 != info["position"]


def test_observations_and_rewards_stay_in_the_space() -> None:
    env = MazeEnv(size=5, wall_penalty=2.0, episode_length=60)
    rewards = set()
    observation, _ = env.reset(seed=1)
    for action in np.random.default_rng(0).integers(0, 4, 60):
        assert observation in env.observation_space
        observation, reward, *_ = env.step(action)
        rewards.add(reward)
    assert observation in env.observation_space and rewards == {-2.0, 0.0, 10.0}
    assert env.observation_space.shape == (17,) and env.action_space.n == 4


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["copy", "pickle"],
)
def test_a_copy_goes_on_from_the_same_state(duplicate) -> None:
    env = MazeEnv(size=7)
    env.reset(seed=2)
    env.step(1)
    other = duplicate(env)
    for action in (0, 3, 3, 1):
        first, second = env.step(action), other.step(action)
        np.testing.assert_array_equal(first[0], second[0])
        assert first[1:] == second[1:]


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (4, ValueError, r"action must be one of 0 to 3, got 4: pass one of them"),
        (-1, ValueError, r"action must be one of 0 to 3, got -1"),
        (1.0, TypeError, r"action must be an integer, got 1\.0 of type float: pass one of 0 to 3"),
        (True, TypeError, r"action must be an integer, got True of type bool"),
        (None, TypeError, r"action must be an integer, got None of type NoneType"),
        (np.array([1]), TypeError, r"action must be an integer, got array\(\[1\]\)"),
    ],
)
def test_an_action_that_cannot_be_is_refused_and_changes_nothing(action, error, message) -> None:
    env = MazeEnv(size=5)
    env.reset(seed=0, options={"goal": 6})
    with pytest.raises(error, match=message):
        env.step(action)
    assert env.step(0)[0][10] == np.float32(1 / 200)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"goal": 12}, ValueError, r"goal must be a free cell other than the centre 12, got 12"),
        ({"goal": 0}, ValueError, r"goal must be a free cell .* got 0"),
        ({"goal": "up"}, TypeError, r"goal must hold integers, got 'up'"),
        ({"goal": [7, 8]}, ValueError, r"goal must have shape \[\] or \[1\], got \(2,\)"),
        ({"start": 7}, ValueError, r"options may hold 'goal' only, got 'start': leave it out"),
    ],
)
def test_options_that_cannot_be_are_refused(options, error, message) -> None:
    with pytest.raises(error, match=message):
        MazeEnv(size=5).reset(options=options)


def test_a_maze_or_a_mode_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be odd, got 8: pass 7 or 9"):
        gymnasium.make(MAZE_ID, size=8)
    with pytest.raises(ValueError, match="render_mode must be None or one of human, rgb_array"):
        MazeEnv(render_mode="svg")


def test_before_the_first_reset_there_is_nothing_to_step_or_draw() -> None:
    env = MazeEnv(render_mode="ansi")
    for call in (lambda: env.step(0), env.render):
        with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
            call()
