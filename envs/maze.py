"""The dynamics of the maze, for batches of episodes, as pure TensorFlow functions."""

import dataclasses
import functools
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from .checks import finite_number, whole_number
from .maze_state import MazeState


@keras.saving.register_keras_serializable(package="warptf")
@dataclasses.dataclass(frozen=True)
class Maze:
    r"""A grid of free cells and pillars, with a goal to be found again and again.

    The maze is a square with an outer wall and a pillar at every cell whose row and column are
    both even, counted from 0 at the wall's corner; the cell in the centre is free all the same. A
    task is a goal: any free cell but the centre. The agent starts at the centre. A move into a wall
    leaves it where it is. When it reaches the goal it is rewarded and put on another free cell, any
    of them with equal probability. An episode has a fixed number of steps.

    A cell is the integer `row * size + column`. Actions are 0 up, 1 down, 2 left, 3 right. What
    the agent observes is a vector of 17 float32:

    | places | content |
    |---|---|
    | 0-8 | the 3 by 3 cells around the agent, row by row: 1 for a wall |
    | 9 | 1 |
    | 10 | the number of steps taken over `episode_length` |
    | 11 | the last reward |
    | 12 | 0 |
    | 13-16 | the last action, one-hot; zeros at the start |

    `reset` and `step` are functions of their arguments alone and can be called eagerly, in a
    `tf.function`, in a `tf.while_loop` and under XLA. Axes: `B` episodes, `T` steps.

    Args:
        size: Cells on a side, the outer wall included; odd and at least 5. Defaults to 13.
        wall_penalty: What a move into a wall costs. Defaults to 0.
        reward: What reaching the goal earns. Defaults to 10.
        episode_length: `T`, the steps of an episode. Defaults to 200.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of range.

    Example:
        >>> maze = Maze(size=5)
        >>> state, observation = maze.reset(seed=[0, 0], goal=[7])
        >>> observation[0, :9].numpy().astype(int).tolist()   # no wall around the centre
        [0, 0, 0, 0, 0, 0, 0, 0, 0]
        >>> state, observation, reward = maze.step(state, [0])   # up, onto cell 7
        >>> reward.numpy().tolist()
        [10.0]

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix I;
        the task is that of Miconi et al., Backpropamine, ICLR 2019.
    """

    observation_size: ClassVar[int] = 17
    action_count: ClassVar[int] = 4

    size: int = 13
    wall_penalty: float = 0.0
    reward: float = 10.0
    episode_length: int = 200

    def __post_init__(self) -> None:
        size = whole_number("size", self.size, 5)
        if size % 2 == 0:
            raise ValueError(f"size must be odd, got {size}: pass {size - 1} or {size + 1}.")
        wall_penalty = finite_number("wall_penalty", self.wall_penalty)
        if wall_penalty < 0:
            raise ValueError(
                f"wall_penalty must not be negative, got {wall_penalty}: it is subtracted from the "
                "reward, pass 0 or more."
            )
        reward = finite_number("reward", self.reward)
        if reward <= 0:
            raise ValueError(f"reward must be positive, got {reward}: pass more than 0.")
        length = whole_number("episode_length", self.episode_length, 1)
        checked = {
            "size": size,
            "wall_penalty": wall_penalty,
            "reward": reward,
            "episode_length": length,
        }
        # The way to set fields of a frozen dataclass.
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @functools.cached_property
    def walls(self) -> np.ndarray:
        """Which cells are walls or pillars, `[size, size]`."""
        walls = np.ones([self.size, self.size], bool)
        walls[1:-1, 1:-1] = False
        walls[::2, ::2] = True
        walls[self.size // 2, self.size // 2] = False
        return _constant(walls)

    @functools.cached_property
    def free_cells(self) -> np.ndarray:
        """The cells that are no walls, in ascending order."""
        return _constant(np.flatnonzero(~self.walls).astype(np.int32))

    @functools.cached_property
    def goal_cells(self) -> np.ndarray:
        """The cells that can be goals: the free ones but the centre."""
        return _constant(self.free_cells[self.free_cells != self.centre])

    @property
    def centre(self) -> int:
        """The cell where episodes start."""
        return self.size**2 // 2

    @functools.cached_property
    def next_cell(self) -> np.ndarray:
        """Where each action leads from each cell, `[size ** 2, 4]`."""
        cells = np.arange(self.size**2, dtype=np.int32)
        ahead = cells[:, None] + np.array([-self.size, self.size, -1, 1], np.int32)
        walls = self.walls.ravel()
        # From a wall nothing leads anywhere; this also keeps the table inside the grid.
        blocked = walls[:, None] | walls[ahead % self.size**2]
        return _constant(np.where(blocked, cells[:, None], ahead))

    @functools.cached_property
    def neighbourhood(self) -> np.ndarray:
        """The walls among the 3 by 3 cells around each cell, row by row, `[size ** 2, 9]`."""
        padded = np.pad(self.walls, 1, constant_values=True)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        return _constant(windows.reshape(-1, 9).astype(np.float32))

    def reset(
        self, seed: Any, batch_size: int | None = None, goal: Any = None
    ) -> tuple[MazeState, tf.Tensor]:
        """Starts a batch of episodes.

        Args:
            seed: Either two integers `[2]`, from which the whole batch is drawn at once, or two
                integers for each episode, `[B, 2]`, each of which is then the same as it would be
                in a batch of one with its two integers.
            batch_size: `B`. Defaults to 1 with a seed `[2]` and to the number of rows of a seed
                `[B, 2]`.
            goal: The goal's cell, one for all or `[B]`. Defaults to `None`: one is drawn for each
                episode from `goal_cells`. What else is drawn does not depend on it.

        Returns:
            The state and the first observation `[B, 17]`.

        Raises:
            TypeError: The seed or the goal are no integers.
            ValueError: A shape or a goal is wrong. Goals that have no value yet, in a graph, are
                not checked.
        """
        drawn = self._draws(*_checked_seed(seed, batch_size))
        first = drawn[:, 0]
        if goal is None:
            goal = self._other_cell(first, self.centre)
        else:
            goal = tf.broadcast_to(self.checked_goals(goal, first.shape[0]), tf.shape(first))
        start = tf.zeros_like(goal)
        state = MazeState(
            goal=goal,
            position=start + self.centre,
            relocations=self._other_cell(drawn[:, 1:], goal[:, None]),
            step=tf.constant(0),
            reward=tf.cast(start, tf.float32),
            action=start + self.action_count,
        )
        return state, self._observation(state)

    def step(self, state: MazeState, action: Any) -> tuple[MazeState, tf.Tensor, tf.Tensor]:
        """Moves the agents.

        Args:
            state: The state, of fewer than `episode_length` steps.
            action: One action for each episode, `[B]`, integers.

        Returns:
            The new state, the observation `[B, 17]` and the reward `[B]`.

        Raises:
            TypeError: The actions are no integers.
            ValueError: Their shape is wrong, one of them is no action, or the episodes are over.
                What has no value yet, in a graph, is not checked.
        """
        action = self._checked_action(state, action)
        ahead = tf.gather(self.next_cell.ravel(), state.position * self.action_count + action)
        arrived = tf.equal(ahead, state.goal)
        reward = tf.cast(arrived, tf.float32) * self.reward
        if self.wall_penalty:
            bumped = tf.equal(ahead, state.position)
            reward -= tf.cast(bumped, tf.float32) * self.wall_penalty
        state = state._replace(
            position=tf.where(arrived, tf.gather(state.relocations, state.step, axis=1), ahead),
            step=state.step + 1,
            reward=reward,
            action=action,
        )
        return state, self._observation(state), reward

    def alive(self, state: MazeState) -> tf.Tensor:
        """Returns ones, `[B]`: all episodes last as long.

        Args:
            state: A state.
        """
        return tf.ones_like(state.reward)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Maze":
        """Makes the maze from what `get_config` returned.

        Args:
            config: The constructor's arguments.
        """
        return cls(**config)

    def checked_goals(self, goal: Any, batch_size: int | None) -> tf.Tensor:
        """Returns goals if they are such as `reset` takes.

        Args:
            goal: One cell, or one for each episode, `[B]`.
            batch_size: `B`, or `None` where it is not known.

        Returns:
            The cells, `[]` or `[B]`, int32.

        Raises:
            TypeError: They are no integers.
            ValueError: Their shape is wrong, or one of them is no goal.
        """
        goal = _integers("goal", goal)
        if not (goal.shape.rank == 0 or goal.shape.is_compatible_with([batch_size])):
            raise ValueError(
                f"goal must have shape [] or [{batch_size}], got {goal.shape}: pass one cell, or "
                "one for each episode."
            )
        value = tf.get_static_value(goal)
        if value is not None and not np.isin(value, self.goal_cells).all():
            raise ValueError(
                f"goal must be a free cell other than the centre {self.centre}, got "
                f"{value.tolist()}: choose from `Maze.goal_cells`."
            )
        return goal

    def _observation(self, state: MazeState) -> tf.Tensor:
        around = tf.gather(self._places_0_to_9, state.position)
        time = tf.gather(self._times, state.step)
        last = tf.gather(self._places_12_to_16, state.action)
        reward = state.reward[:, None]
        return tf.concat([around, tf.fill(tf.shape(reward), time), reward, last], axis=1)

    @functools.cached_property
    def _places_0_to_9(self) -> np.ndarray:
        """The places of an observation that depend on the cell, `[size ** 2, 10]`."""
        return _constant(np.pad(self.neighbourhood, [(0, 0), (0, 1)], constant_values=1.0))

    @functools.cached_property
    def _places_12_to_16(self) -> np.ndarray:
        """The places that depend on the last action, `[5, 5]`; the last row is for none."""
        one_hot = np.eye(self.action_count + 1, self.action_count, dtype=np.float32)
        return _constant(np.pad(one_hot, [(0, 0), (1, 0)]))

    @functools.cached_property
    def _times(self) -> np.ndarray:
        """Place 10 after each number of steps; compilers round a division in different ways."""
        steps = np.arange(self.episode_length + 1, dtype=np.float32)
        return _constant(steps / np.float32(self.episode_length))

    def _draws(self, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Draws for each episode one number for its goal and one for each step, `[B, 1 + T]`."""
        count, choices = 1 + self.episode_length, len(self.free_cells) - 1

        def draw(seed: tf.Tensor, shape: list[int]) -> tf.Tensor:
            return tf.random.stateless_uniform(shape, seed, 0, choices, tf.int32)

        if seed.shape.rank == 1:
            return draw(seed, [batch_size, count])
        return tf.map_fn(lambda own: draw(own, [count]), seed, fn_output_signature=tf.int32)

    def _other_cell(self, number: tf.Tensor, excluded: Any) -> tf.Tensor:
        """Returns the free cell of a number among those that are not `excluded`."""
        index = np.cumsum(~self.walls.ravel()).astype(np.int32) - 1
        skip = tf.cast(number >= tf.gather(index, excluded), tf.int32)
        return tf.gather(self.free_cells, number + skip)

    def _checked_action(self, state: MazeState, action: Any) -> tf.Tensor:
        action = _integers("action", action)
        batch = state.position.shape
        if action.shape.rank != 1 or not action.shape.is_compatible_with(batch):
            raise ValueError(
                f"action must have shape {batch}, got {action.shape}: pass one action for each "
                "episode."
            )
        value = tf.get_static_value(action)
        if value is not None and ((value < 0) | (value >= self.action_count)).any():
            raise ValueError(
                f"action must be within 0 to {self.action_count - 1}, got {value.tolist()}: pass 0 "
                "up, 1 down, 2 left or 3 right."
            )
        step = tf.get_static_value(state.step)
        if step is not None and step >= self.episode_length:
            raise ValueError(
                f"state must be of fewer than {self.episode_length} steps, got one of {step}: the "
                "episodes are over, call `reset`."
            )
        return action


def _constant(table: np.ndarray) -> np.ndarray:
    """Returns a table that cannot be written to, since all users of a maze share it."""
    table.setflags(write=False)
    return table


def _integers(name: str, value: Any) -> tf.Tensor:
    """Returns an argument that must hold integers, as int32."""
    tensor = tf.convert_to_tensor(value)
    if not tensor.dtype.is_integer:
        raise TypeError(
            f"{name} must hold integers, got {value!r} of dtype {tensor.dtype.name}: convert it."
        )
    return tf.cast(tensor, tf.int32)


def _checked_seed(seed: Any, batch_size: int | None) -> tuple[tf.Tensor, int]:
    """Returns the seed, `[2]` or `[B, 2]`, and `B`."""
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size, 1)
    seed = seed if tf.is_tensor(seed) else np.asarray(seed)
    if seed.dtype not in (np.int32, np.int64):
        raise TypeError(f"seed must hold int32 or int64, got {seed!r}: pass two integers.")
    seed = tf.convert_to_tensor(seed)
    rank = seed.shape.rank
    if rank not in (1, 2) or seed.shape[-1] != 2:
        raise ValueError(
            f"seed must have shape [2] or [B, 2], got {seed.shape}: pass two integers, for the "
            "whole batch or for each episode."
        )
    if rank == 1:
        return seed, batch_size or 1
    if batch_size not in (None, seed.shape[0]):
        raise ValueError(
            f"batch_size must be the number of rows of seed, {seed.shape[0]}, got {batch_size}: "
            "leave it out, or pass a seed of two integers."
        )
    return seed, seed.shape[0]
