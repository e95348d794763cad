"""What the maze yields to an agent that knows the goal: exact ceilings and floors of a return."""

import numpy as np

from .maze import Maze


def distances(maze: Maze) -> np.ndarray:
    """Returns the fewest moves between any two cells.

    Args:
        maze: The maze.

    Returns:
        `[size ** 2, size ** 2]`, int32; -1 where a cell cannot be reached or is a wall.

    >>> steps = distances(Maze(size=5))
    >>> int(steps[6, 18])   # between opposite corners of the nine free cells
    4
    """
    cells = maze.size**2
    reached = np.zeros([cells, cells], bool)
    reached[maze.free_cells, maze.free_cells] = True
    moves = np.where(reached, 0, -1).astype(np.int32)
    for length in range(1, cells):
        # Breadth first from all goals at once: a cell is reached if a neighbour has been.
        neighbours = reached[:, maze.next_cell].any(axis=-1)
        new = neighbours & ~reached
        if not new.any():
            break
        moves[new] = length
        reached |= new
    return moves


def optimal_actions(maze: Maze) -> np.ndarray:
    """Returns the first move of a shortest path to each goal from each cell.

    Reaching the goal sooner leaves more steps and changes nothing else, whence shortest paths earn
    the highest expected return. Of several such moves this is the one with the lowest number.

    Args:
        maze: The maze.

    Returns:
        `[size ** 2, size ** 2]`, int32, the goal first. Where there is nothing to choose, on walls
        and on the goal, the number means nothing.

    >>> actions = optimal_actions(Maze(size=5))
    >>> actions[6, [12, 8]].tolist()   # from the centre up, then from the corner left
    [0, 2]
    """
    return np.argmin(distances(maze)[:, maze.next_cell], axis=-1).astype(np.int32)


def expected_return(maze: Maze, policy: np.ndarray | None = None) -> float:
    r"""Returns the expected sum of rewards of an episode, over goals and relocations.

    Computed exactly, by recursion on the number $k$ of steps left: with goal $g$, the move from $c$
    to $n$, penalty $p$ and reward $r$,
    $V_k(g, c) = r + \frac{1}{F - 1} \sum_{f \neq g} V_{k-1}(g, f)$ if $n = g$ and
    $V_{k-1}(g, n) - p [n = c]$ otherwise, where $f$ runs over the $F$ free cells.

    Args:
        maze: The maze.
        policy: The action for each goal and cell, `[size ** 2, size ** 2]`, such as
            `optimal_actions` returns. Defaults to `None`: uniformly random actions.

    Returns:
        The expected return.

    Raises:
        TypeError: The policy holds no integers.
        ValueError: Its shape is wrong, or one of its numbers is no action.

    >>> maze = Maze(size=5, episode_length=1)   # one step: the goal is a neighbour in 4 of 8 cases
    >>> expected_return(maze, optimal_actions(maze)), expected_return(maze)
    (5.0, 1.25)
    """
    goals, free = maze.goal_cells, maze.free_cells
    landing, weights = _moves(maze, policy)
    arrives = landing == goals[:, None, None]
    gained = maze.reward * arrives - maze.wall_penalty * (landing == free[None, :, None])
    row, index = np.arange(len(goals))[:, None, None], np.searchsorted(free, landing)
    value = np.zeros([len(goals), len(free)])
    for _ in range(maze.episode_length):
        at_goal = value[np.arange(len(goals)), np.searchsorted(free, goals)]
        relocated = (value.sum(axis=1) - at_goal) / (len(free) - 1)
        ahead = np.where(arrives, relocated[:, None, None], value[row, index])
        value = ((gained + ahead) * weights).sum(axis=-1)
    return float(value[:, np.searchsorted(free, maze.centre)].mean())


def _moves(maze: Maze, policy: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Returns where a policy may lead, `[goals, free cells, moves]`, and each move's weight."""
    goals, free = maze.goal_cells, maze.free_cells
    if policy is None:
        landing = np.broadcast_to(maze.next_cell[free], (len(goals), len(free), maze.action_count))
        return landing, 1.0 / maze.action_count
    policy = np.asarray(policy)
    shape = (maze.size**2, maze.size**2)
    if policy.dtype.kind not in "iu":
        raise TypeError(
            f"policy must hold integers, got dtype {policy.dtype}: pass one action for each goal "
            "and cell, or None for random actions."
        )
    if policy.shape != shape:
        raise ValueError(
            f"policy must have shape {shape}, got {policy.shape}: pass one action for each goal "
            "and cell, or None for random actions."
        )
    chosen = policy[np.ix_(goals, free)]
    wrong = (chosen < 0) | (chosen >= maze.action_count)
    if wrong.any():
        raise ValueError(
            f"policy must hold actions from 0 to {maze.action_count - 1}, got {chosen[wrong][0]}: "
            "see `optimal_actions`."
        )
    return maze.next_cell[free, chosen][..., None], 1.0
