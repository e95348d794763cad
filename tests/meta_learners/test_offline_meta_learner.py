"""Algorithm 2, against derivatives written out by hand."""

import itertools

import keras
import numpy as np
import pytest
from meta_learners.problems import (
    ScalarLearner,
    batch_of,
    cross_entropy,
    network,
    one_batch,
    scalar_tasks,
    stream,
    values,
)

import warptf
from warptf.initializations import Leap, Reptile
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.objectives import WarpGrad

ALPHA, BETA, STEPS, TASKS = 0.1, 0.2, 2, 2
START = ScalarLearner(theta=0.7, phi=1.3)


def trajectories(task):
    found = []
    for t in range(TASKS):
        thetas = [START.theta]
        for k in range(STEPS):
            batch = batch_of(task.support, t, k)
            thetas.append(thetas[-1] - ALPHA * START.theta_gradient(thetas[-1], START.phi, batch))
        found.append(thetas)
    return found


def term(task, entry, phi, exact=True):
    """The gradient at one stored step, on the batches that replay it."""
    t, k = divmod(entry, STEPS)
    inner, meta = task.replay or (task.support, task.query)
    thetas = trajectories(task)[t]
    if not exact:
        return START.phi_gradient(thetas[k + 1], phi, batch_of(meta, t, k))
    return START.warp_gradient(
        thetas[k], phi, ALPHA, batch_of(inner, t, k), batch_of(meta, t, k), True
    )


def train(task, objective=None, inner=None, **kwargs):
    model = START.model()
    learner = warptf.OfflineMetaLearner(
        model, inner or SGD(ALPHA), STEPS, objective=objective or WarpGrad(), **kwargs
    )
    learner.compile(keras.optimizers.SGD(BETA), "mse")
    learner.fit(one_batch(task), verbose=0)
    theta, phi = (float(w.item()) for w in model.get_weights())
    return theta, phi


def outcomes(task, size=1, exact=True, start=START.phi):
    """Where phi may end after one epoch, for each order of the stored steps."""
    ends = []
    for order in itertools.permutations(range(TASKS * STEPS)):
        phi = start
        for i in range(0, len(order), size):
            batch = order[i : i + size]
            phi = phi - BETA * np.mean([term(task, e, phi, exact) for e in batch])
        ends.append(phi)
    return np.array(ends)


@pytest.mark.parametrize("replay", [True, False])
def test_replaying_all_at_once_is_one_mean_gradient(replay):
    task = scalar_tasks(TASKS, STEPS, replay=replay)
    _, phi = train(task, replay_batch_size=TASKS * STEPS)
    mean = np.mean([term(task, e, START.phi) for e in range(TASKS * STEPS)])
    assert phi == pytest.approx(START.phi - BETA * mean, rel=1e-6)


@pytest.mark.parametrize("size", [1, 2])
def test_every_stored_step_is_visited_once_in_some_order(size):
    task = scalar_tasks(TASKS, STEPS, replay=True)
    _, phi = train(task, replay_batch_size=size)
    ends = outcomes(task, size)
    assert np.ptp(ends) > 1e-3
    assert np.min(np.abs(ends - phi)) < 1e-6


def test_the_approximate_objective_is_taken_at_the_stored_next_step():
    task = scalar_tasks(TASKS, STEPS, replay=True)
    _, phi = train(task, WarpGrad("none"), replay_batch_size=TASKS * STEPS)
    mean = np.mean([term(task, e, START.phi, exact=False) for e in range(TASKS * STEPS)])
    assert phi == pytest.approx(START.phi - BETA * mean, rel=1e-6)


def test_epochs_go_through_the_same_steps_in_new_orders():
    task = scalar_tasks(TASKS, STEPS, replay=True)
    _, phi = train(task, replay_epochs=2)
    ends = np.concatenate([outcomes(task, start=middle) for middle in outcomes(task)])
    assert np.min(np.abs(ends - phi)) < 1e-6


def test_orders_differ_between_meta_steps_and_seeds():
    learner = warptf.OfflineMetaLearner(START.model(), SGD(ALPHA), 20)
    orders = [learner._order(40, epoch).numpy().tolist() for epoch in (0, 1)]
    learner.meta_step.assign(1)
    orders.append(learner._order(40, 0).numpy().tolist())
    other = warptf.OfflineMetaLearner(START.model(), SGD(ALPHA), 20, seed=1)
    orders.append(other._order(40, 0).numpy().tolist())
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_initialisation_moves_once_from_the_trajectories():
    task = scalar_tasks(TASKS, STEPS, replay=True)
    theta, _ = train(task, initialization=Reptile(), initialization_weight=0.5)
    ends = [thetas[-1] for thetas in trajectories(task)]
    assert theta == pytest.approx(
        START.theta - BETA * 0.5 * (START.theta - np.mean(ends)), rel=1e-6
    )


def test_learned_rates_replay_the_step_in_the_approximate_mode_too():
    task = scalar_tasks(TASKS, STEPS, replay=True)
    model, inner = START.model(), LearnedSGD(ALPHA, learn_momentum=False)
    learner = warptf.OfflineMetaLearner(
        model, inner, STEPS, WarpGrad("none"), replay_batch_size=TASKS * STEPS
    )
    learner.compile(keras.optimizers.SGD(BETA), "mse")
    learner.fit(one_batch(task), verbose=0)
    phi, alpha = [], []
    for t, thetas in enumerate(trajectories(task)):
        for k, theta in enumerate(thetas[:-1]):
            g = START.theta_gradient(theta, START.phi, batch_of(task.replay[0], t, k))
            meta = batch_of(task.replay[1], t, k)
            phi.append(START.phi_gradient(theta - ALPHA * g, START.phi, meta))
            alpha.append(-g * START.theta_gradient(theta - ALPHA * g, START.phi, meta))
    assert model.get_weights()[1].item() == pytest.approx(START.phi - BETA * np.mean(phi), rel=1e-6)
    assert float(inner.get_weights()[0]) == pytest.approx(ALPHA - BETA * np.mean(alpha), rel=1e-5)


def test_storages_give_equal_numbers():
    """With state of every kind in the trajectory: momentum, batch norm, random numbers."""
    results = []
    for storage in ("device", "host", "disk"):
        model = network(batch_norm=True, dropout=0.5)
        learner = warptf.OfflineMetaLearner(
            model, SGD(0.1, momentum=0.5), 3, initialization=Leap(), replay_storage=storage
        )
        learner.compile(keras.optimizers.SGD(0.3), cross_entropy())
        learner.fit(stream(2, replay=True), verbose=0)
        results.append(values(model))
    start = values(network(batch_norm=True, dropout=0.5))
    assert any(np.any(a != b) for a, b in zip(start, results[0], strict=True))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_auto_storage_goes_to_disk_when_memory_is_short(monkeypatch):
    from warptf.meta_learners import replay_buffer

    learner = warptf.OfflineMetaLearner(network(), SGD(0.1), 3)
    learner.compile("sgd", cross_entropy())
    assert isinstance(learner._make_buffer(2), replay_buffer.MemoryReplayBuffer)
    monkeypatch.setattr(replay_buffer, "_MEMORY_SHARE", 0.0)
    assert isinstance(learner._make_buffer(2), replay_buffer.DiskReplayBuffer)


@pytest.mark.parametrize(
    ("gib", "has_gpu", "expected"),
    [(0.5, False, "device"), (0.5, True, "device"), (2, False, "device"), (2, True, "host")],
)
def test_auto_storage_leaves_the_memory_of_a_gpu_free(gib, has_gpu, expected, monkeypatch):
    from warptf.meta_learners import replay_buffer

    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * 2**18}
    monkeypatch.setattr(replay_buffer.os, "sysconf", pages.__getitem__, raising=False)
    assert replay_buffer._fitting_storage(int(gib * 2**30), has_gpu) == expected
    assert replay_buffer._fitting_storage(9 * 2**30, has_gpu) == "disk"
    monkeypatch.delattr(replay_buffer.os, "sysconf")
    assert replay_buffer._fitting_storage(9 * 2**30, False) == "device"
