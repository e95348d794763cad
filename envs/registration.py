"""Registers the maze in Gymnasium when it is imported.

Gymnasium loads no plugins by itself since its version 1.0: an id is known once the package that
registers it is imported, by the user or by `gymnasium.make("warptf.envs:warptf/Maze-v0")`.
"""

import gymnasium

MAZE_ID = "warptf/Maze-v0"


def register() -> None:
    """Makes the maze known to `gymnasium.make` and `gymnasium.make_vec`, once.

    The length of an episode is an argument of the environment, which ends its episodes itself:
    there is no `max_episode_steps` to register.

    >>> import gymnasium
    >>> register()
    >>> gymnasium.spec("warptf/Maze-v0").vector_entry_point
    'warptf.envs.maze_vector_env:MazeVectorEnv'
    """
    if MAZE_ID not in gymnasium.registry:
        gymnasium.register(
            MAZE_ID,
            entry_point="warptf.envs.maze_env:MazeEnv",
            vector_entry_point="warptf.envs.maze_vector_env:MazeVectorEnv",
        )


register()
