"""What an agent in the maze observes and does, as Gymnasium describes it."""

import gymnasium
import numpy as np

from .maze import Maze


def observation_space(maze: Maze) -> gymnasium.spaces.Box:
    """Returns the box of the 17 numbers that the agent observes.

    Args:
        maze: The maze.

    >>> observation_space(Maze(wall_penalty=0.5)).low[11].item()   # the last reward
    -0.5
    """
    low = np.zeros(maze.observation_size, np.float32)
    high = np.ones(maze.observation_size, np.float32)
    low[11], high[11] = -maze.wall_penalty, maze.reward
    return gymnasium.spaces.Box(low, high)


def action_space(maze: Maze) -> gymnasium.spaces.Discrete:
    """Returns the four actions.

    Args:
        maze: The maze.
    """
    return gymnasium.spaces.Discrete(maze.action_count)
