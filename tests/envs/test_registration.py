"""The id of the maze, in processes that have imported nothing yet."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from warptf.envs import MAZE_ID, MazeEnv, registration


def run(script: str, folder: Path) -> list[str]:
    """The lines that a script prints, away from the checkout: it finds what is installed."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_gymnasium_makes_it_when_told_the_package(tmp_path: Path) -> None:
    script = """
import gymnasium, sys
env = gymnasium.make("warptf.envs:warptf/Maze-v0", size=7)
print(env.unwrapped.maze.size, type(env.unwrapped).__name__)
print(type(gymnasium.make_vec("warptf/Maze-v0", num_envs=2)).__name__)
print([name for name in ("gym", "pygame") if name in sys.modules])
"""
    assert run(script, tmp_path) == ["7 MazeEnv", "MazeVectorEnv", "[]"]


def test_the_library_alone_imports_no_environments(tmp_path: Path) -> None:
    script = """
import sys, warptf
print([name for name in ("warptf.envs", "gymnasium", "gym", "pygame") if name in sys.modules])
"""
    assert run(script, tmp_path) == ["[]"]


def test_registering_again_changes_nothing() -> None:
    before = gymnasium.spec(MAZE_ID)
    registration.register()  # Gymnasium would warn of an id that is registered twice
    assert gymnasium.spec(MAZE_ID) is before


@pytest.mark.skipif(importlib.util.find_spec("gym") is None, reason="Gym is not installed")
def test_gym_makes_it_unasked_and_without_importing_tensorflow_before(tmp_path: Path) -> None:
    script = """
import json, sys
import gym
print("tensorflow" in sys.modules)
env = gym.make("warptf/Maze-v0", size=7, episode_length=30, render_mode="ansi")
assert isinstance(env, gym.Env) and isinstance(env.unwrapped, gym.Env)
assert isinstance(env.action_space, gym.spaces.Discrete) and env.action_space.n == 4
observation, info = env.reset(seed=3, options={"goal": 8})
assert observation in env.observation_space
print(json.dumps([observation.tolist(), info]))
for action in [0, 3, 3, 1, 2] * 6:
    observation, reward, terminated, truncated, info = env.step(action)
    assert observation in env.observation_space
    print(json.dumps([observation.tolist(), reward, terminated, truncated, info]))
print(json.dumps(env.render()))
from warptf_gym_plugin.registration import register
register()
env.close()
"""
    tensorflow_first, *lines = run(script, tmp_path)
    assert tensorflow_first == "False"
    expected = MazeEnv(size=7, episode_length=30, render_mode="ansi")
    observation, info = expected.reset(seed=3, options={"goal": 8})
    trajectory: list = [[observation.tolist(), info]]
    for action in [0, 3, 3, 1, 2] * 6:
        observation, *rest = expected.step(action)
        trajectory.append([observation.tolist(), *rest])
    trajectory.append(expected.render())
    assert [json.loads(line) for line in lines] == trajectory
    assert np.array([step[3] for step in trajectory[1:-1]]).sum() == 1
