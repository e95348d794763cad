"""The maze as an environment of Gymnasium."""

from typing import Any

import gymnasium
import numpy as np

from .checks import checked_action
from .episode_batch import EpisodeBatch
from .episode_seeds import EpisodeSeeds
from .maze import Maze
from .maze_picture import as_image, as_text
from .maze_window import MazeWindow
from .render_options import checked_render_mode, warn_of_no_mode
from .reset_options import goal_of
from .spaces import action_space, observation_space


class MazeEnv(gymnasium.Env[np.ndarray, Any]):
    """One agent in a `Maze`; its id in Gymnasium is `warptf/Maze-v0`.

    Gymnasium knows the id once `warptf.envs` is imported. Episodes are truncated after
    `episode_length` steps and never terminate. `info` holds the cells of the `goal` and of the
    agent, `position`.

    Randomness: episode `n` since `reset(seed=s)`, counted from 0, is the one that
    `Maze.reset([[s, n]])` starts, and so has the same trajectory for the same actions.

    Args:
        size: Cells on a side, the outer wall included; odd and at least 5. Defaults to 13.
        wall_penalty: What a move into a wall costs. Defaults to 0.
        reward: What reaching the goal earns. Defaults to 10.
        episode_length: The steps of an episode. Defaults to 200.
        render_mode: `None` (default), `"ansi"` for text, `"rgb_array"` for a picture, or `"human"`
            for a window, which needs pygame: `pip install 'warptf[render]'`.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of range.
        gymnasium.error.DependencyNotInstalled: There is no pygame for a window.

    Example:
        >>> import gymnasium, warptf.envs
        >>> env = gymnasium.make("warptf/Maze-v0", size=5, render_mode="ansi")
        >>> observation, info = env.reset(seed=0, options={"goal": 7})
        >>> print(env.render())
        #####
        # G #
        # A #
        #   #
        #####
        >>> observation, reward, terminated, truncated, info = env.step(0)   # up
        >>> reward, terminated, truncated
        (10.0, False, False)
    """

    metadata: dict[str, Any] = {
        "render_modes": ["human", "rgb_array", "ansi"],
        "render_fps": 10,
    }

    def __init__(
        self,
        size: int = 13,
        wall_penalty: float = 0.0,
        reward: float = 10.0,
        episode_length: int = 200,
        render_mode: str | None = None,
    ) -> None:
        self.maze = Maze(size, wall_penalty, reward, episode_length)
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = observation_space(self.maze)
        self.action_space = action_space(self.maze)
        self._episode = EpisodeBatch(self.maze)
        self._seeds = EpisodeSeeds(1)
        self._window: MazeWindow | None = None
        if render_mode == "human":
            self._window = MazeWindow(self.metadata["render_fps"])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: A non-negative integer, or `None` (default) for the next episode of the last seed.
            options: `{"goal": cell}` sets the goal of this episode. Defaults to a random one.

        Returns:
            The observation `[17]` and the info.

        Raises:
            TypeError: The goal is no integer.
            ValueError: The goal is no free cell other than the centre, or options hold more.
        """
        goal = goal_of(options)
        super().reset(seed=seed)
        seeds = self._seeds.following(seed, self.np_random)
        (observation,) = self._episode.reset(seeds, goal)
        self._show()
        return observation, self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves the agent.

        Args:
            action: 0 up, 1 down, 2 left, 3 right.

        Returns:
            The observation `[17]`, the reward, whether the episode terminated (never), whether it
            was truncated, and the info.

        Raises:
            TypeError: The action is no integer.
            ValueError: It is no action.
            gymnasium.error.ResetNeeded: There is no episode, or it is over.
        """
        number = checked_action(action, self.maze.action_count)
        (observation,), (reward,) = self._episode.step(np.array([number]))
        self._show()
        return observation, float(reward), False, self._episode.over, self._info()

    def render(self) -> Any:
        """Draws the maze.

        Returns:
            Text for `"ansi"`, an array `[pixels, pixels, 3]` for `"rgb_array"`, otherwise `None`.

        Raises:
            gymnasium.error.ResetNeeded: No episode has been started.
        """
        cells = self._info()
        if self.render_mode == "ansi":
            return as_text(self.maze, **cells)
        if self.render_mode == "rgb_array":
            return as_image(self.maze, **cells)
        if self.render_mode is None:
            warn_of_no_mode()
        self._show()
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(as_image(self.maze, **self._info()))

    def _info(self) -> dict[str, Any]:
        return {"goal": int(self._episode.goal[0]), "position": int(self._episode.position[0])}
