"""The maze as an environment of Gym, the predecessor of Gymnasium.

Only `gym.make` imports this module: importing Gym prints a notice, and nobody else needs it.
"""

from typing import Any

import gym
import numpy as np

from .maze_env import MazeEnv
from .spaces import observation_space


class GymMazeEnv(gym.Env):
    """`MazeEnv` with the base class and the spaces of Gym 0.26.

    Gym finds it by itself: `gym.make("warptf/Maze-v0")`.

    Args:
        **kwargs: The arguments of `MazeEnv`.
    """

    metadata = MazeEnv.metadata

    def __init__(self, **kwargs: Any) -> None:
        self._env = MazeEnv(**kwargs)
        self.maze = self._env.maze
        self.render_mode = self._env.render_mode
        box = observation_space(self.maze)
        self.observation_space = gym.spaces.Box(box.low, box.high, dtype=np.float32)
        self.action_space = gym.spaces.Discrete(self.maze.action_count)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode, as `MazeEnv.reset` does."""
        super().reset(seed=seed)
        return self._env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves the agent, as `MazeEnv.step` does."""
        return self._env.step(action)

    def render(self) -> Any:
        """Draws the maze, as `MazeEnv.render` does."""
        return self._env.render()

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._env.close()
