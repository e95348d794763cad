"""The maze's functions, compiled once for all environments that have the same maze."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from .maze import Maze
from .maze_state import MazeState


class CompiledMaze(NamedTuple):
    """The functions of a maze as graphs on the CPU, where steps of this size are fastest.

    Args:
        reset: `Maze.reset` of a seed `[B, 2]` and a goal `[B]` or `None`.
        step: `Maze.step`.
    """

    reset: Callable
    step: Callable


@functools.lru_cache(maxsize=64)
def compiled(maze: Maze) -> CompiledMaze:
    """Returns the compiled functions of a maze.

    Args:
        maze: The maze; an equal one gives the same functions.

    >>> compiled(Maze(size=5)) is compiled(Maze(size=5))
    True
    """

    @tf.function(autograph=False)
    def reset(seed: tf.Tensor, goal: tf.Tensor | None) -> tuple:
        with tf.device("CPU:0"):
            return maze.reset(seed, goal=goal)

    @tf.function(autograph=False)
    def step(state: MazeState, action: tf.Tensor) -> tuple:
        with tf.device("CPU:0"):
            return maze.step(state, action)

    return CompiledMaze(reset, step)
