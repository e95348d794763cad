"""The maze: its dynamics as TensorFlow functions."""

from .maze import Maze
from .maze_state import MazeState
from .shortest_paths import distances, expected_return, optimal_actions

__all__ = ["Maze", "MazeState", "distances", "expected_return", "optimal_actions"]
