"""The dynamics: against a loop in plain Python, and the same however they are run."""

import numpy as np
import pytest
import tensorflow as tf
from contracts.plain_maze import PlainMaze
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.envs import Maze, MazeState

SIZES = st.integers(2, 7).map(lambda half: 2 * half + 1)
SEEDS = st.tuples(st.integers(0, 2**62), st.integers(-(2**62), 2**62))


def walk(maze: Maze, seed, actions: np.ndarray, goal=None) -> list[tuple]:
    """The states, observations and rewards of a batch; actions are `[steps, B]`."""
    state, observation = maze.reset(seed, actions.shape[1], goal)
    visited = [(state, observation, state.reward)]
    for action in actions:
        visited.append(maze.step(visited[-1][0], action))
    return visited


def assert_same(first, second) -> None:
    for a, b in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        np.testing.assert_array_equal(a, b)


def some_actions(steps: int, batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, [steps, batch])


def test_walls_of_the_paper_are_those_drawn_by_hand() -> None:
    rows = ["".join("#" if wall else "." for wall in row) for row in Maze().walls]
    pillars, corridor = "#.#.#.#.#.#.#", "#...........#"
    edge = "#" * 13
    centre = "#.#.#...#.#.#"
    assert rows == [
        edge,
        *[corridor, pillars] * 2,
        corridor,
        centre,
        *[corridor, pillars] * 2,
        corridor,
        edge,
    ]
    assert len(Maze().free_cells) == 97 and len(Maze().goal_cells) == 96
    assert Maze().centre == 6 * 13 + 6 and Maze().centre not in Maze().goal_cells


@settings(max_examples=30)
@given(
    size=SIZES,
    seed=SEEDS,
    penalty=st.sampled_from([0.0, 0.25]),
    actions=st.lists(st.integers(0, 3), min_size=1, max_size=40),
)
def test_an_episode_is_that_of_a_plain_loop(size, seed, penalty, actions) -> None:
    maze = Maze(size, wall_penalty=penalty, episode_length=40)

    def cell(number) -> tuple[int, int]:
        return divmod(int(number), size)

    visited = walk(maze, seed, np.array(actions)[:, None])
    plain = PlainMaze(size, cell(visited[0][0].goal[0]), penalty, length=40)
    assert plain.goal in plain.free - {plain.centre}
    np.testing.assert_array_equal(visited[0][1][0], plain.observation)
    for action, (state, observation, reward) in zip(actions, visited[1:], strict=True):
        plain.step(action, relocation=cell(state.position[0]))
        assert plain.position == cell(state.position[0])
        assert plain.position in plain.free - {plain.goal}
        assert reward[0] == plain.reward
        np.testing.assert_array_equal(observation[0], plain.observation)


def test_each_action_moves_as_it_says() -> None:
    maze = Maze(size=5)
    for action, cell in enumerate([7, 17, 11, 13]):
        goal = 6 if cell != 6 else 8
        state, _ = maze.reset([0, 0], goal=goal)
        assert maze.step(state, [action])[0].position[0] == cell


def test_an_observation_by_hand() -> None:
    maze = Maze(size=5, wall_penalty=0.5, episode_length=4)
    *_, (_, observation, _) = walk(maze, [0, 0], np.array([[2], [2]]), goal=8)
    walls = [1, 0, 0, 1, 0, 0, 1, 0, 0]  # at the left wall
    np.testing.assert_array_equal(observation[0], [*walls, 1, 0.5, -0.5, 0, 0, 0, 1, 0])


def test_goals_and_relocations_are_uniform() -> None:
    maze, count = Maze(size=5, episode_length=1), 8000
    drawn = maze.reset([3, 0], count)[0].goal
    state, _ = maze.reset([4, 0], count, goal=7)
    state, _, reward = maze.step(state, np.zeros(count, int))  # up, onto the goal
    assert (reward.numpy() == 10).all()
    for cells, excluded in ((drawn, 12), (state.position, 7)):
        choices = sorted(set(maze.free_cells.tolist()) - {excluded})
        counts = np.array([(cells.numpy() == cell).sum() for cell in choices])
        assert counts.sum() == count
        # Six deviations of a binomial count.
        assert abs(counts - count / 8).max() < 6 * np.sqrt(count / 8 * 7 / 8)


def test_relocations_of_an_episode_differ() -> None:
    relocations = Maze().reset([0, 0], 20)[0].relocations.numpy()
    assert (np.array([len(set(row)) for row in relocations]) > 50).all()
    assert len({tuple(row) for row in relocations}) == 20


def test_each_step_has_its_own_relocation() -> None:
    maze = Maze(size=5)
    visited = walk(maze, [6, 0], some_actions(200, 1), goal=7)
    relocations = visited[0][0].relocations[0].numpy()
    arrivals = [step for step in range(200) if visited[step + 1][2][0] == 10]
    placed = [int(visited[step + 1][0].position[0]) for step in arrivals]
    assert placed == [relocations[step] for step in arrivals]
    assert len(set(placed)) > 3


def test_the_drawn_goal_passed_in_changes_nothing() -> None:
    maze, actions = Maze(size=7, episode_length=60), some_actions(60, 4)
    drawn = walk(maze, [5, 1], actions)
    assert sum(float(tf.reduce_sum(reward)) for *_, reward in drawn) > 0
    assert_same(drawn, walk(maze, [5, 1], actions, goal=drawn[0][0].goal))


def test_another_seed_draws_another_episode() -> None:
    maze = Maze()
    states = [maze.reset(seed, 8)[0] for seed in ([0, 0], [0, 1], [1, 0])]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(states[first].goal, states[second].goal)
        assert not np.array_equal(states[first].relocations, states[second].relocations)


@settings(max_examples=10)
@given(seeds=st.lists(SEEDS, min_size=1, max_size=4), size=SIZES)
def test_an_episode_with_its_own_seed_is_that_of_a_batch_of_one(seeds, size) -> None:
    maze, actions = Maze(size, episode_length=12), some_actions(12, len(seeds))
    together = walk(maze, np.array(seeds), actions)
    for b, seed in enumerate(seeds):
        for own_seed in (seed, [seed]):
            alone = walk(maze, np.array(own_seed), actions[:, b : b + 1])
            for (state, *rest), (own_state, *own_rest) in zip(together, alone, strict=True):
                own = [x[b : b + 1] for x in (*state._replace(step=own_state.step[None]), *rest)]
                own[3] = state.step
                assert_same(own, [*own_state, *own_rest])


def rollout(maze: Maze, actions: tf.Tensor, seed: tf.Tensor) -> tuple:
    """A whole episode in one loop of the graph."""

    def body(step, state, observations, rewards):
        state, observation, reward = maze.step(state, actions[step])
        return (
            step + 1,
            state,
            observations.write(step, observation),
            rewards.write(step, reward),
        )

    length = actions.shape[0]
    records = [tf.TensorArray(tf.float32, length) for _ in range(2)]
    start = (0, maze.reset(seed, actions.shape[1])[0], *records)
    _, state, observations, rewards = tf.while_loop(
        lambda step, *_: step < length, body, start, maximum_iterations=length
    )
    return state, observations.stack(), rewards.stack()


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("seed", [[2, 9], [[2, 9], [3, 9], [2, 10]]])
def test_a_compiled_loop_has_the_trajectories_of_eager_steps(jit_compile, seed) -> None:
    maze = Maze(size=7, wall_penalty=0.125, episode_length=50)
    actions, seed = some_actions(50, 3), tf.constant(seed, tf.int64)
    visited = walk(maze, seed, actions)
    compiled = tf.function(
        lambda actions, seed: rollout(maze, actions, seed), jit_compile=jit_compile
    )
    state, observations, rewards = compiled(tf.constant(actions), seed)
    assert isinstance(state, MazeState)
    assert_same(state, visited[-1][0])
    assert_same(observations, tf.stack([observation for _, observation, _ in visited[1:]]))
    assert_same(rewards, tf.stack([reward for *_, reward in visited[1:]]))
    assert (rewards.numpy() >= 9).any() and (rewards.numpy() < 0).any()


def test_equal_mazes_are_equal_and_tables_are_read_only() -> None:
    assert Maze(size=7) == Maze(size=np.int64(7), reward=10) != Maze(size=9)
    assert hash(Maze(size=7)) == hash(Maze(size=7, reward=10))
    for table in (Maze().walls, Maze().free_cells, Maze().next_cell, Maze().neighbourhood):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 12}, ValueError, r"size must be odd, got 12: pass 11 or 13"),
        ({"size": 3}, ValueError, r"size must be at least 5, got 3"),
        ({"size": 13.0}, TypeError, r"size must be an integer, got 13\.0"),
        ({"size": True}, TypeError, r"size must be an integer, got True"),
        ({"wall_penalty": -1}, ValueError, r"wall_penalty must not be negative, got -1\.0"),
        ({"wall_penalty": float("nan")}, ValueError, r"wall_penalty must be finite, got nan"),
        ({"reward": 0}, ValueError, r"reward must be positive, got 0\.0"),
        ({"reward": "ten"}, TypeError, r"reward must be a number, got 'ten'"),
        ({"episode_length": 0}, ValueError, r"episode_length must be at least 1, got 0"),
        ({"episode_length": -5}, ValueError, r"episode_length must be at least 1, got -5"),
        ({"episode_length": "200"}, TypeError, r"episode_length must be an integer, got '200'"),
    ],
)
def test_a_maze_that_cannot_be_is_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        Maze(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": [0.5, 1.0]}, TypeError, r"seed must hold int32 or int64, got .*0\.5"),
        ({"seed": [1, 2, 3]}, ValueError, r"seed must have shape \[2\] or \[B, 2\], got \(3,\)"),
        ({"seed": 1}, ValueError, r"seed must have shape .*, got \(\)"),
        ({"batch_size": 0}, ValueError, r"batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, r"batch_size must be an integer, got 2\.0"),
        ({"seed": [[1, 2]], "batch_size": 2}, ValueError, r"rows of seed, 1, got 2: leave it out"),
        ({"goal": 84}, ValueError, r"goal must be a free cell other than the centre 84, got 84"),
        ({"goal": 28}, ValueError, r"got 28: choose from `Maze.goal_cells`"),
        ({"goal": -1}, ValueError, r"goal must be a free cell .* got -1"),
        ({"goal": 169}, ValueError, r"goal must be a free cell .* got 169"),
        ({"goal": 14.0}, TypeError, r"goal must hold integers, got 14\.0 of dtype float32"),
        ({"goal": [14, 15]}, ValueError, r"goal must have shape \[\] or \[1\], got \(2,\)"),
    ],
)
def test_an_episode_that_cannot_be_is_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        Maze().reset(**({"seed": [0, 0]} | arguments))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ([4, 0], ValueError, r"action must be within 0 to 3, got \[4, 0\]: pass 0 up, 1 down"),
        ([0, -1], ValueError, r"action must be within 0 to 3, got \[0, -1\]"),
        ([0.0, 1.0], TypeError, r"action must hold integers, got \[0\.0, 1\.0\] of dtype float32"),
        ([True, False], TypeError, r"action must hold integers, got .* of dtype bool"),
        ([0], ValueError, r"action must have shape \(2,\), got \(1,\): pass one action"),
        ([[0, 1]], ValueError, r"action must have shape \(2,\), got \(1, 2\)"),
        (0, ValueError, r"action must have shape \(2,\), got \(\)"),
    ],
)
def test_an_action_that_cannot_be_is_refused(action, error, message) -> None:
    maze = Maze()
    state, _ = maze.reset([0, 0], 2)
    with pytest.raises(error, match=message):
        maze.step(state, action)


def test_shapes_and_kinds_are_checked_in_a_graph_too() -> None:
    maze = Maze()

    @tf.function(autograph=False)
    def step(action: tf.Tensor) -> tf.Tensor:
        return maze.step(maze.reset([0, 0], 2)[0], action)[1]

    assert step(tf.constant([0, 1])).shape == (2, 17)
    with pytest.raises(ValueError, match=r"action must have shape \(2,\), got \(3,\)"):
        step(tf.constant([0, 1, 2]))
    with pytest.raises(TypeError, match="action must hold integers"):
        step(tf.constant([0.0, 1.0]))


def test_an_episode_that_is_over_is_not_continued() -> None:
    maze = Maze(episode_length=2)
    visited = walk(maze, [0, 0], some_actions(2, 1))
    assert [float(observation[0, 10]) for _, observation, _ in visited] == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="fewer than 2 steps, got one of 2: .* call `reset`"):
        maze.step(visited[-1][0], [0])
