"""Pictures of the maze, in letters and in colours."""

import numpy as np

from .maze import Maze

CELL_PIXELS = 16
FREE_COLOUR = (255, 255, 255)
WALL_COLOUR = (70, 70, 70)
GOAL_COLOUR = (40, 160, 70)
AGENT_COLOUR = (40, 90, 210)


def as_text(maze: Maze, position: int, goal: int) -> str:
    """Returns the maze in letters: `#` a wall, `A` the agent, `G` the goal.

    Args:
        maze: The maze.
        position: The agent's cell.
        goal: The goal's cell.

    >>> print(as_text(Maze(size=5), position=12, goal=18))
    #####
    #   #
    # A #
    #  G#
    #####
    """
    letters = np.where(maze.walls.ravel(), "#", " ")
    letters[goal], letters[position] = "G", "A"
    return "\n".join("".join(row) for row in letters.reshape(maze.size, maze.size))


def as_image(maze: Maze, position: int, goal: int) -> np.ndarray:
    """Returns the maze in colours.

    Args:
        maze: The maze.
        position: The agent's cell.
        goal: The goal's cell.

    Returns:
        `[pixels, pixels, 3]`, uint8, 16 pixels for each cell.

    >>> as_image(Maze(size=5), position=12, goal=18).shape
    (80, 80, 3)
    """
    colours = np.where(maze.walls.reshape(-1, 1), WALL_COLOUR, FREE_COLOUR).astype(np.uint8)
    colours[goal], colours[position] = GOAL_COLOUR, AGENT_COLOUR
    square = colours.reshape(maze.size, maze.size, 3)
    return square.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)
