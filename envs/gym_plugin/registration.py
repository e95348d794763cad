"""Registers the maze in Gym.

A package of its own, `warptf_gym_plugin`, because Gym runs this at its own import, and importing
any part of `warptf` imports TensorFlow.
"""

import importlib


def register() -> None:
    """Makes the maze known to `gym.make`, once."""
    # Gym calls this while it is being imported: of its modules only this one is complete.
    registration = importlib.import_module("gym.envs.registration")
    if "warptf/Maze-v0" in registration.registry:
        return
    registration.register(
        "warptf/Maze-v0",
        entry_point="warptf.envs.gym_maze_env:GymMazeEnv",
        # Gym's checker reads `numpy.bool8`, which NumPy 2 no longer has.
        disable_env_checker=True,
    )
