"""Many mazes as one environment: what Gymnasium's own loop over single ones does."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.envs import MAZE_ID, Maze, MazeEnv, MazeVectorEnv


def test_make_vec_makes_it() -> None:
    env = gymnasium.make_vec(MAZE_ID, num_envs=3, size=5, wall_penalty=0.5)
    assert isinstance(env, MazeVectorEnv) and env.num_envs == 3
    assert env.maze == Maze(size=5, wall_penalty=0.5)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def assert_same(first: tuple, second: tuple) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            assert_same(tuple(a[key] for key in a), tuple(b[key] for key in a))
        else:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**40), count=st.integers(1, 4), length=st.integers(1, 8))
def test_it_does_what_a_loop_over_single_environments_does(seed, count, length) -> None:
    kwargs = {"size": 7, "wall_penalty": 0.25, "episode_length": length}
    loop = SyncVectorEnv([lambda: MazeEnv(**kwargs)] * count)
    batched = MazeVectorEnv(count, **kwargs)
    assert loop.observation_space == batched.observation_space
    assert loop.action_space == batched.action_space
    assert loop.single_observation_space == batched.single_observation_space
    assert loop.single_action_space == batched.single_action_space
    goal = {"goal": 8}
    assert_same(loop.reset(seed=seed, options=goal), batched.reset(seed=seed, options=goal))
    for actions in np.random.default_rng(0).integers(0, 4, [3 * length + 4, count]):
        assert_same(loop.step(actions), batched.step(actions))


def test_seeds_may_be_a_list_as_in_gymnasiums_loop() -> None:
    loop = SyncVectorEnv([lambda: MazeEnv(size=7, episode_length=2)] * 3)
    batched = MazeVectorEnv(3, size=7, episode_length=2)
    goal = {"goal": 8}
    for seed in ([5, 2**40, 5], None, [None, 7, None], None, [1, 2, None], 9, [None] * 3):
        assert_same(loop.reset(seed=seed, options=goal), batched.reset(seed=seed, options=goal))
        for actions in np.random.default_rng(0).integers(0, 4, [4, 3]):
            assert_same(loop.step(actions), batched.step(actions))


def test_episodes_are_those_of_a_batch_in_the_graph() -> None:
    env, maze = MazeVectorEnv(3, size=7, episode_length=20), Maze(size=7, episode_length=20)
    actions = np.random.default_rng(1).integers(0, 4, [20, 3])
    observation, _ = env.reset(seed=5)
    for episode in range(2):
        state, expected = maze.reset([[5, episode], [6, episode], [7, episode]])
        np.testing.assert_array_equal(observation, expected)
        for step, action in enumerate(actions, start=1):
            observation, reward, terminated, truncated, info = env.step(action)
            state, expected, expected_reward = maze.step(state, action)
            np.testing.assert_array_equal(observation, expected)
            np.testing.assert_array_equal(reward, expected_reward)
            np.testing.assert_array_equal(info["goal"], state.goal)
            np.testing.assert_array_equal(info["position"], state.position)
            assert not terminated.any() and truncated.tolist() == [step == 20] * 3
        # The step after the last starts new episodes and earns nothing.
        observation, reward, _, truncated, _ = env.step(action)
        assert not reward.any() and not truncated.any()


def test_wrappers_of_gymnasium_count_its_episodes() -> None:
    env = RecordEpisodeStatistics(gymnasium.make_vec(MAZE_ID, num_envs=2, episode_length=9, size=5))
    env.reset(seed=0, options={"goal": np.array([7, 17])})
    up = np.zeros(2, int)
    total = np.zeros(2)
    for _ in range(9):
        _, reward, _, _, info = env.step(up)
        total += reward
    assert total[0] >= 10
    np.testing.assert_array_equal(info["episode"]["r"], total)
    assert info["episode"]["l"].tolist() == [9, 9]


def test_each_environment_can_have_its_goal() -> None:
    env = MazeVectorEnv(3, size=5)
    _, info = env.reset(seed=0, options={"goal": [7, 17, 11]})
    assert info["goal"].tolist() == [7, 17, 11] and info["position"].tolist() == [12, 12, 12]
    assert env.step([0, 0, 2])[1].tolist() == [10.0, 0.0, 10.0]


def test_what_is_returned_is_not_overwritten() -> None:
    env = MazeVectorEnv(2, size=5)
    env.reset(seed=0, options={"goal": 6})
    first = env.step([0, 1])
    kept = [np.copy(x) for x in (*first[:4], first[4]["position"])]
    env.step([1, 0])
    for before, now in zip(kept, (*first[:4], first[4]["position"]), strict=True):
        np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, 4], ValueError, r"actions must be within 0 to 3, got \[0, 4\]: pass 0 to 3"),
        ([-1, 0], ValueError, r"actions must be within 0 to 3, got \[-1, 0\]"),
        ([0.0, 1.0], TypeError, r"actions must be integers, got \[0\.0, 1\.0\] of dtype float64"),
        ([0], ValueError, r"actions must have shape \(2,\), got \(1,\): pass one action for each"),
        (0, ValueError, r"actions must have shape \(2,\), got \(\)"),
    ],
)
@pytest.mark.parametrize("steps", [0, 1])
def test_actions_that_cannot_be_are_refused(actions, error, message, steps) -> None:
    env = MazeVectorEnv(2, episode_length=1)
    env.reset(seed=0)
    for _ in range(steps):  # after one step, the next one starts new episodes
        env.step([0, 0])
    with pytest.raises(error, match=message):
        env.step(actions)


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        MazeVectorEnv(0)
    with pytest.raises(ValueError, match="render_mode must be None or one of rgb_array, ansi"):
        MazeVectorEnv(2, render_mode="human")
    with pytest.raises(ValueError, match=r"goal must have shape \[\] or \[2\], got \(3,\)"):
        MazeVectorEnv(2).reset(options={"goal": [14, 15, 16]})
    with pytest.raises(ValueError, match="a list of 2, one for each environment, got 3"):
        MazeVectorEnv(2).reset(seed=[1, 2, 3])
    with pytest.raises(TypeError, match=r"integers or None, got 1\.5"):
        MazeVectorEnv(2).reset(seed=[1, 1.5])
    with pytest.raises(ValueError, match="no negative integers, got -1"):
        MazeVectorEnv(2).reset(seed=[1, -1])
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        MazeVectorEnv(2).step([0, 0])
