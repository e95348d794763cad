"""The state of a batch of episodes in the maze."""

from typing import Any, NamedTuple


class MazeState(NamedTuple):
    """Where the agents of a batch are, and all that their episodes still depend on.

    All that is random in an episode is drawn when it starts: the same state and the same actions
    always give the same trajectory. Axes: `B` episodes, `T` steps of an episode.

    Args:
        goal: The goal's cell in each episode, `[B]`, int32.
        position: The agent's cell, `[B]`, int32.
        relocations: Where the agent goes on reaching the goal at each step, `[B, T]`, int32.
        step: The number of steps taken, `[]`, int32: the episodes of a batch run side by side.
        reward: The last reward, `[B]`, float32; 0 at the start.
        action: The last action, `[B]`, int32; `Maze.action_count`, which is none, at the start.
    """

    goal: Any
    position: Any
    relocations: Any
    step: Any
    reward: Any
    action: Any
