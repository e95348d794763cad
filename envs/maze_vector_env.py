"""Many mazes as one environment of Gymnasium."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from .checks import checked_actions, whole_number
from .episode_batch import EpisodeBatch
from .episode_seeds import EpisodeSeeds, Seed
from .maze import Maze
from .maze_picture import as_image, as_text
from .render_options import checked_render_mode, warn_of_no_mode
from .reset_options import goal_of
from .spaces import action_space, observation_space


class MazeVectorEnv(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Agents in as many copies of a `Maze`, moved by one call of a compiled graph.

    `gymnasium.make_vec("warptf/Maze-v0", num_envs=n)` makes it once `warptf.envs` is imported.
    It does what Gymnasium's `SyncVectorEnv` does with `n` of `MazeEnv`, infos included.

    All episodes end together, after `episode_length` steps, truncated. The step after that ignores
    its actions and starts new episodes: it returns their first observations, rewards of 0 and no
    truncations (autoreset mode `NEXT_STEP`).

    Randomness: episode `n` since `reset(seed=s)`, counted from 0, of environment `i` is drawn from
    `(s + i, n)`. The whole batch is the one that `Maze.reset` starts with these seeds, `[B, 2]`.

    Args:
        num_envs: `B`, the number of agents. Defaults to 1.
        size: Cells on a side, the outer wall included; odd and at least 5. Defaults to 13.
        wall_penalty: What a move into a wall costs. Defaults to 0.
        reward: What reaching the goal earns. Defaults to 10.
        episode_length: The steps of an episode. Defaults to 200.
        render_mode: `None` (default), `"ansi"` for texts or `"rgb_array"` for pictures.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of range.

    Example:
        >>> import gymnasium, warptf.envs
        >>> env = gymnasium.make_vec("warptf/Maze-v0", num_envs=3, size=5)
        >>> observation, info = env.reset(seed=0, options={"goal": 7})
        >>> observation, reward, terminated, truncated, info = env.step([0, 1, 2])
        >>> observation.shape, reward.tolist()
        ((3, 17), [10.0, 0.0, 0.0])
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        size: int = 13,
        wall_penalty: float = 0.0,
        reward: float = 10.0,
        episode_length: int = 200,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs = whole_number("num_envs", num_envs, 1)
        self.maze = Maze(size, wall_penalty, reward, episode_length)
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        self.single_observation_space = observation_space(self.maze)
        self.single_action_space = action_space(self.maze)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._episodes = EpisodeBatch(self.maze)
        self._seeds = EpisodeSeeds(self.num_envs)

    def reset(
        self, *, seed: Seed = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in each maze.

        Args:
            seed: A non-negative integer; a list of them, one for each maze, `None` among them for
                the next episode there; or `None` (default) for the next episodes of all.
            options: `{"goal": cell}` sets the goals of these episodes, one for all or `[B]`.
                Defaults to random ones.

        Returns:
            The observations `[B, 17]` and the infos.

        Raises:
            TypeError: A goal or a seed is no integer.
            ValueError: There are not as many seeds as mazes, a goal is no free cell other than the
                centre, or options hold more.
        """
        goal = goal_of(options)
        # The base class knows one seed alone.
        super().reset(seed=None if isinstance(seed, Sequence | np.ndarray) else seed)
        seeds = self._seeds.following(seed, self.np_random)
        return self._episodes.reset(seeds, goal), self._infos()

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Moves the agents, or starts new episodes where the last ones are over.

        Args:
            actions: One action for each agent, `[B]`: 0 up, 1 down, 2 left, 3 right.

        Returns:
            The observations `[B, 17]`, the rewards `[B]`, which episodes terminated (none), which
            were truncated `[B]`, and the infos.

        Raises:
            TypeError: The actions are no integers.
            ValueError: Their shape is wrong, or one of them is no action.
            gymnasium.error.ResetNeeded: No episode has been started.
        """
        never = np.zeros(self.num_envs, bool)
        if self._episodes.over:
            checked_actions(actions, self.num_envs, self.maze.action_count)
            observation, infos = self.reset()
            return observation, np.zeros(self.num_envs), never, never.copy(), infos
        observation, reward = self._episodes.step(actions)
        truncated = np.full(self.num_envs, self._episodes.over)
        return observation, reward.astype(np.float64), never, truncated, self._infos()

    def render(self) -> tuple[Any, ...] | None:
        """Draws each maze.

        Returns:
            Texts for `"ansi"`, arrays `[pixels, pixels, 3]` for `"rgb_array"`, otherwise `None`.

        Raises:
            gymnasium.error.ResetNeeded: No episode has been started.
        """
        cells = zip(self._episodes.position, self._episodes.goal, strict=True)
        if self.render_mode is None:
            warn_of_no_mode()
            return None
        draw = as_text if self.render_mode == "ansi" else as_image
        return tuple(draw(self.maze, position, goal) for position, goal in cells)

    def _infos(self) -> dict[str, Any]:
        """Returns the cells, and for each entry which environments have it: all of them."""
        infos: dict[str, Any] = {"goal": self._episodes.goal, "position": self._episodes.position}
        return infos | {f"_{name}": np.ones(self.num_envs, bool) for name in infos}
