"""Shortest paths counted by hand and by another algorithm; returns by simulation and by hand."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.envs import Maze, distances, expected_return, optimal_actions

SIZES = st.integers(2, 7).map(lambda half: 2 * half + 1)


def test_distances_of_the_smallest_maze_are_those_between_rows_and_columns() -> None:
    steps, free = distances(Maze(size=5)), Maze(size=5).free_cells
    rows, columns = divmod(free, 5)
    manhattan = abs(rows[:, None] - rows) + abs(columns[:, None] - columns)
    np.testing.assert_array_equal(steps[np.ix_(free, free)], manhattan)
    walls = np.setdiff1d(np.arange(25), free)
    assert (steps[walls] == -1).all() and (steps[:, walls] == -1).all()


def test_distances_around_pillars_by_hand() -> None:
    # #######
    # #a b  #   The pillars are at the even places; c is the centre.
    # # # # #
    # #  c  #
    # # # # #
    # #    d#
    # #######
    a, b, c, d = 1 * 7 + 1, 1 * 7 + 3, 3 * 7 + 3, 5 * 7 + 5
    steps = distances(Maze(size=7))
    assert (steps[a, b], steps[b, c], steps[a, c], steps[a, d]) == (2, 2, 4, 8)
    beside_pillar, across = 2 * 7 + 1, 2 * 7 + 3
    assert steps[beside_pillar, across] == 4  # two columns away, around a pillar


@settings(max_examples=6)
@given(size=SIZES)
def test_distances_are_those_of_powers_of_the_adjacency_matrix(size: int) -> None:
    maze = Maze(size)
    free = np.argwhere(~maze.walls)
    apart = abs(free[:, None] - free[None]).sum(axis=-1)
    adjacent = (apart <= 1).astype(float)
    expected, within = np.full(apart.shape, -1), np.eye(len(free))
    for length in range(len(free)):
        expected[(within > 0) & (expected < 0)] = length
        within = np.minimum(within @ adjacent, 1.0)
    assert (expected >= 0).all()
    np.testing.assert_array_equal(
        distances(maze)[np.ix_(maze.free_cells, maze.free_cells)], expected
    )


@settings(max_examples=6)
@given(size=SIZES)
def test_an_optimal_action_always_leads_one_step_nearer(size: int) -> None:
    maze = Maze(size)
    steps, actions = distances(maze), optimal_actions(maze)
    for goal in maze.goal_cells:
        cells = maze.free_cells[maze.free_cells != goal]
        after = maze.next_cell[cells, actions[goal, cells]]
        np.testing.assert_array_equal(steps[goal, after], steps[goal, cells] - 1)


def simulated_returns(maze: Maze, policy: np.ndarray | None, count: int) -> np.ndarray:
    """The returns of episodes that the dynamics themselves run."""
    table = None if policy is None else tf.constant(policy)

    @tf.function
    def run() -> tf.Tensor:
        state, _ = maze.reset([0, 1], count)
        total = tf.zeros([count])
        for step in tf.range(maze.episode_length):
            if table is None:
                action = tf.random.stateless_uniform([count], [step, 2], 0, 4, tf.int32)
            else:
                action = tf.gather_nd(table, tf.stack([state.goal, state.position], axis=1))
            state, _, reward = maze.step(state, action)
            total += reward
        return total

    return run().numpy()


@pytest.mark.parametrize("optimal", [True, False])
@pytest.mark.parametrize("maze", [Maze(), Maze(size=7, wall_penalty=0.5, episode_length=30)])
def test_expected_return_is_that_of_simulated_episodes(maze: Maze, optimal: bool) -> None:
    policy = optimal_actions(maze) if optimal else None
    returns = simulated_returns(maze, policy, 3000)
    error = returns.std() / np.sqrt(len(returns))
    assert abs(returns.mean() - expected_return(maze, policy)) < 5 * error


def test_expected_return_of_two_steps_by_hand() -> None:
    maze = Maze(size=5, episode_length=2)
    # Neighbours of the centre (4 of 8 goals) are reached at once; from the 8 other cells, to one of
    # which the agent is then moved, the goal at an edge's middle is one step away in 3 cases.
    # Corners (4 of 8) are reached with the second step.
    expected = 0.5 * (10 + 10 * 3 / 8) + 0.5 * 10
    assert expected_return(maze, optimal_actions(maze)) == pytest.approx(expected, rel=1e-12)


def test_a_wall_costs_its_penalty_in_every_step_of_a_policy_that_runs_into_it() -> None:
    maze = Maze(size=5, wall_penalty=1.0, episode_length=4)
    left = np.full([25, 25], 2)
    # With 7 of 8 goals the agent makes one free step and bumps three times; with the goal on the
    # left it is moved in the first step, and bumps less often.
    others = expected_return(Maze(size=5, wall_penalty=0.0, episode_length=4), left)
    bumps = others - expected_return(maze, left)
    assert 7 / 8 * 3 < bumps < 3


@settings(max_examples=8)
@given(size=SIZES, length=st.integers(1, 60), penalty=st.sampled_from([0.0, 1.0]))
def test_no_policy_earns_more_than_the_optimal_one(size, length, penalty) -> None:
    maze = Maze(size, penalty, episode_length=length)
    best = expected_return(maze, optimal_actions(maze))
    other = np.random.default_rng(length).integers(0, 4, [size**2, size**2])
    assert expected_return(maze) < best + 1e-9
    assert expected_return(maze, other) < best + 1e-9


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (np.zeros([25, 25]), TypeError, "policy must hold integers, got dtype float64"),
        (np.zeros([25], int), ValueError, r"policy must have shape \(25, 25\), got \(25,\)"),
        (np.full([25, 25], 4), ValueError, "policy must hold actions from 0 to 3, got 4"),
        (np.full([25, 25], -1), ValueError, "policy must hold actions from 0 to 3, got -1"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(policy, error, message) -> None:
    with pytest.raises(error, match=message):
        expected_return(Maze(size=5), policy)
