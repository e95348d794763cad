"""Continual tasks: what each step sees, and what its meta loss weighs."""

import numpy as np
import pytest
import tensorflow as tf
from contracts.task_distribution import check_task_distribution

from warptf.tasks import ContinualSine, ContinualTasks, Sine


class Marked(ContinualTasks):
    """Every example tells its sub-task, and its task by a random number."""

    def draw(self, sub_task, seed, count):
        marks = tf.fill([count, 1], float(sub_task.number))
        return marks, tf.fill([count, 1], tf.random.stateless_uniform([], sub_task.task))


def test_task_distribution_contract() -> None:
    check_task_distribution(ContinualSine(tasks_per_batch=2, evaluation_tasks=3))
    check_task_distribution(Sine(tasks_per_batch=2, evaluation_tasks=3))


def first(tasks):
    return next(iter(tasks.train))


@pytest.mark.parametrize("order", [None, (1, 2, 0)])
def test_steps_go_through_the_sub_tasks_in_order(order) -> None:
    tasks = Marked(sub_tasks=3, steps=2, batch_size=4, queries=2, tasks_per_batch=2, order=order)
    task = first(tasks)
    assert task.support[0].shape == (2, 6, 4, 1) and task.query[0].shape == (2, 6, 6, 1)
    seen = order or (0, 1, 2)
    for one in range(2):
        expected = np.repeat(seen, 2)
        np.testing.assert_array_equal(task.support[0][one, :, 0, 0], expected)
        # Every step has fresh examples of all sub-tasks, in the order in which they are seen.
        np.testing.assert_array_equal(task.query[0][one, :, :, 0], [np.repeat(seen, 2)] * 6)
        # All examples of a task belong to the same task.
        assert len(np.unique(task.support[1][one])) == 1
        assert task.query[1][one, 0, 0] == task.support[1][one, 0, 0]


def test_rehearsal_draws_of_all_sub_tasks_seen_so_far() -> None:
    tasks = Marked(sub_tasks=3, steps=2, batch_size=50, rehearsal=True, order=(2, 0, 1))
    x = first(tasks).support[0].numpy()[..., 0]
    assert x.shape == (5, 6, 50)
    for step, seen in enumerate([{2}, {2}, {2, 0}, {2, 0}, {2, 0, 1}, {2, 0, 1}]):
        # 250 uniform draws of up to three kinds miss one with a chance below 1e-43.
        assert set(np.unique(x[:, step])) == seen
        share = np.mean(x[:, step] == 2)
        assert abs(share - 1 / len(seen)) < 6 * 0.5 / np.sqrt(250)


def test_weights_are_those_of_equation_19() -> None:
    # T = 3, n = 2: sub-task 0 appears at 6 steps, 1 at 4, 2 at 2.
    expected = [[1 / 6, 0, 0]] * 2 + [[1 / 6, 1 / 4, 0]] * 2 + [[1 / 6, 1 / 4, 1 / 2]] * 2
    tasks = Marked(sub_tasks=3, steps=2, queries=2, tasks_per_batch=1)
    np.testing.assert_allclose(tasks.meta_weights(), expected, rtol=1e-6)
    # Over all steps each sub-task weighs the same.
    np.testing.assert_allclose(tasks.meta_weights().sum(0), 1.0, rtol=1e-6)
    weights = first(tasks).query[2][0]
    # The mean over the 6 examples of a step is the weighted sum of the sub-tasks' mean losses.
    np.testing.assert_allclose(weights / 6, np.repeat(expected, 2, axis=1) / 2, rtol=1e-6)


def test_the_meta_loss_may_look_at_other_sub_tasks() -> None:
    current = Marked(sub_tasks=3, steps=2, meta_loss="current").meta_weights()
    np.testing.assert_allclose(current, np.repeat(np.eye(3) / 2, 2, axis=0), rtol=1e-6)
    every = Marked(sub_tasks=3, steps=2, meta_loss="all").meta_weights()
    np.testing.assert_allclose(every, np.full((6, 3), 1 / 6), rtol=1e-6)
    with pytest.raises(ValueError, match="`meta_loss` must be one of seen, current, all.* 'none'"):
        Marked(meta_loss="none")


def test_another_order_shows_the_same_tasks() -> None:
    tasks = Marked(sub_tasks=3, steps=2, tasks_per_batch=2, evaluation_tasks=2)
    other = tasks.in_order((2, 0, 1))
    (one,), (same,) = tasks.test, other.test
    np.testing.assert_array_equal(one.query[1], same.query[1])
    np.testing.assert_array_equal(same.support[0][0, ::2, 0, 0], [2, 0, 1])
    assert tasks.order == (0, 1, 2)
    with pytest.raises(ValueError, match="`order` must hold each of 0 to 2 once"):
        tasks.in_order((0, 1))


def test_curves_are_those_of_the_test_tasks() -> None:
    tasks = ContinualSine(evaluation_tasks=2)
    (curves,) = tasks.test_curves(2, points=11)
    (task,) = tasks.test
    np.testing.assert_array_equal(curves.support[1], task.support[1])
    np.testing.assert_allclose(curves.query[0][1, :, 0], np.linspace(-5, 5, 11), atol=1e-6)
    # Where the points of a task lie close to those of its curve, so do their values.
    points, values = task.query[0][1, :, 0].numpy(), task.query[1][1, :, 0].numpy()
    order = np.argsort(points)
    between = np.interp(np.linspace(-4.5, 4.5, 10), points[order], values[order])
    (fine,) = tasks.test_curves(2, points=21)
    np.testing.assert_allclose(fine.query[1][1, 1::2, 0], between, atol=0.05)


def test_stream_starts_at_any_step_and_splits_differ() -> None:
    tasks = Marked(sub_tasks=2, steps=2, tasks_per_batch=2, evaluation_tasks=3)
    second = list(tasks.train.take(2))[1]
    again = next(iter(tasks.train_from(1)))
    np.testing.assert_array_equal(second.support[1], again.support[1])
    validation = np.concatenate([t.query[1][:, 0, 0] for t in tasks.validation])
    test = np.concatenate([t.query[1][:, 0, 0] for t in tasks.test])
    assert len(validation) == len(test) == 3
    assert len(set(validation) | set(test) | set(np.ravel(second.support[1]))) == 3 + 3 + 2


@pytest.mark.parametrize("order", [(0, 1), (0, 0, 1), (1, 2, 3)])
def test_order_must_be_a_permutation(order) -> None:
    with pytest.raises(ValueError, match="`order` must hold each of 0 to 2 once"):
        Marked(sub_tasks=3, order=order)


def test_curve_is_the_blend_of_the_paper() -> None:
    tasks, seed = ContinualSine(), tf.constant([3, 4])
    u = tf.random.stateless_uniform([5], seed).numpy()
    a, b, o = 0.1 + 4.9 * u[:2], np.pi * u[2:4], 10 * u[4] - 5
    x = np.linspace(-5, 5, 21, dtype="float32")
    blend = 1 / (1 + np.exp(-(x + o)))
    expected = blend * a[0] * np.sin(x - b[0]) + (1 - blend) * a[1] * np.sin(x - b[1])
    np.testing.assert_allclose(tasks.curve(seed, x), expected, atol=1e-5)


def test_points_of_a_sub_task_lie_in_its_interval() -> None:
    x = first(ContinualSine()).support[0].numpy()
    for sub_task in range(5):
        part = x[:, 20 * sub_task : 20 * (sub_task + 1)]
        assert part.min() >= -5 + 2 * sub_task and part.max() <= -3 + 2 * sub_task
        # They fill it: of 500 uniform points some lie in each tenth (but for a chance of 1e-22).
        assert np.histogram(part, 10)[0].min() > 0
