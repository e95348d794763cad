"""An episode in the maze as a moving picture."""

import os
from pathlib import Path

import keras

from warptf.envs import Maze
from warptf.envs.maze_picture import as_image
from warptf.reinforcement import Player

_SEED = 0
_MILLISECONDS = 60


def write_film(agent: keras.Model, maze: Maze, path: Path) -> None:
    """Films an episode of an agent, always that of the same goal.

    Args:
        agent: A `RecurrentAgent` of this maze.
        maze: The maze.
        path: The GIF to write.
    """
    # matplotlib brings it.
    from PIL import Image

    player = Player(agent, maze, episodes=1)
    state, _ = maze.reset(player.environment_seed(_SEED))
    images = []
    for action in player(_SEED).actions:
        cells = int(state.position[0]), int(state.goal[0])
        images.append(Image.fromarray(as_image(maze, *cells)))
        state, _, _ = maze.step(state, action)
    aside = path.with_name("writing-" + path.name)
    images[0].save(aside, save_all=True, append_images=images[1:], duration=_MILLISECONDS, loop=0)
    os.replace(aside, path)
