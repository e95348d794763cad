"""Episodes that run side by side, NumPy in and NumPy out: what the environments are made of."""

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from .checks import checked_actions
from .compiled_maze import compiled
from .maze import Maze
from .maze_state import MazeState


class EpisodeBatch:
    """A batch of episodes that remembers its state, one call of a compiled graph for each step.

    Args:
        maze: The maze.

    >>> episodes = EpisodeBatch(Maze(size=5, episode_length=1))
    >>> episodes.reset(np.array([[0, 0]]), goal=np.array([7])).shape
    (1, 17)
    >>> episodes.step(np.array([0]))[1].tolist(), episodes.over
    ([10.0], True)
    """

    def __init__(self, maze: Maze) -> None:
        self.maze = maze
        self._state: MazeState | None = None
        self._steps = 0

    def reset(self, seeds: np.ndarray, goal: Any = None) -> np.ndarray:
        """Starts the episodes.

        Args:
            seeds: The seed of each episode, `[B, 2]`.
            goal: The cells of the goals, one for all or `[B]`, or `None` to draw them.

        Returns:
            The first observation, `[B, 17]`.

        Raises:
            TypeError: The goal is no integer.
            ValueError: The goal is no free cell other than the centre, or has another shape.
        """
        if goal is not None:
            goal = self.maze.checked_goals(goal, len(seeds))
        self._state, observation = compiled(self.maze).reset(seeds, goal)
        self._steps = 0
        return observation.numpy()

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray]:
        """Moves the agents.

        Args:
            actions: One action for each episode, `[B]`.

        Returns:
            The observation `[B, 17]` and the reward `[B]`.

        Raises:
            TypeError: The actions are no integers.
            ValueError: Their shape is wrong, or one of them is no action.
            gymnasium.error.ResetNeeded: No episode has been started, or they are over.
        """
        state = self._running_state
        actions = checked_actions(actions, len(state.position), self.maze.action_count)
        if self.over:
            raise gymnasium.error.ResetNeeded(
                f"the episode ended after its {self.maze.episode_length} steps: call reset()."
            )
        # A compiled function takes tensors faster than arrays.
        action = tf.convert_to_tensor(actions)
        self._state, observation, reward = compiled(self.maze).step(state, action)
        self._steps += 1
        return observation.numpy(), reward.numpy()

    @property
    def over(self) -> bool:
        """Whether the episodes have had all their steps."""
        return self._steps >= self.maze.episode_length

    @property
    def goal(self) -> np.ndarray:
        """The cells of the goals, `[B]`."""
        return self._running_state.goal.numpy().astype(np.int64)

    @property
    def position(self) -> np.ndarray:
        """The cells of the agents, `[B]`."""
        return self._running_state.position.numpy().astype(np.int64)

    @property
    def _running_state(self) -> MazeState:
        if self._state is None:
            raise gymnasium.error.ResetNeeded("no episode has been started: call reset() first.")
        return self._state
