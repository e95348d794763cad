"""The maze: its dynamics as TensorFlow functions, and environments over them."""

from .maze import Maze
from .maze_env import MazeEnv
from .maze_state import MazeState
from .maze_vector_env import MazeVectorEnv
from .registration import MAZE_ID
from .shortest_paths import distances, expected_return, optimal_actions

__all__ = [
    "MAZE_ID",
    "Maze",
    "MazeEnv",
    "MazeState",
    "MazeVectorEnv",
    "distances",
    "expected_return",
    "optimal_actions",
]
