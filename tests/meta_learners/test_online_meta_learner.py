"""Algorithm 1, against derivatives written out by hand."""

import keras
import numpy as np
import pytest
from meta_learners.problems import ScalarLearner, batch_of, one_batch, scalar_tasks

import warptf
from warptf.initializations import MAML, Fixed, MultiTask, Reptile
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.objectives import WarpGrad

ALPHA, BETA, STEPS, TASKS = 0.1, 0.2, 3, 2
START = ScalarLearner(theta=0.7, phi=1.3)


def trajectories(task, support_steps=True):
    """Every task's theta_0 .. theta_K."""
    found = []
    for t in range(TASKS):
        thetas = [START.theta]
        for k in range(STEPS):
            batch = batch_of(task.support, t, k if support_steps else None)
            thetas.append(thetas[-1] - ALPHA * START.theta_gradient(thetas[-1], START.phi, batch))
        found.append(thetas)
    return found


def train(task, objective, initialization=None, inner=None, **compiling):
    model = START.model()
    learner = warptf.OnlineMetaLearner(
        model,
        inner or SGD(ALPHA),
        STEPS,
        objective=objective,
        initialization=initialization or Fixed(),
        initialization_weight=0.5,
    )
    compiling = {"optimizer": keras.optimizers.SGD(BETA), **compiling}
    learner.compile(loss="mse", **compiling)
    history = learner.fit(one_batch(task), verbose=0)
    theta, phi = (float(w.item()) for w in model.get_weights())
    return theta, phi, history.history["loss"][0], learner


def warp_gradient(task, exact, query_steps=True):
    terms = [
        START.warp_gradient(
            theta,
            START.phi,
            ALPHA,
            batch_of(task.support, t, k),
            batch_of(task.query, t, k if query_steps else None),
            exact,
        )
        for t, thetas in enumerate(trajectories(task))
        for k, theta in enumerate(thetas[:-1])
    ]
    return np.mean(terms)


@pytest.mark.parametrize("mode", ["exact", "none", "finite_difference"])
def test_warp_moves_along_the_mean_over_tasks_and_steps(mode):
    task = scalar_tasks(TASKS, STEPS)
    theta, phi, loss, _ = train(task, WarpGrad(mode))
    expected = START.phi - BETA * warp_gradient(task, mode != "none")
    # The difference divides the rounding of a float32 loss by a small step.
    assert phi == pytest.approx(expected, rel=2e-3 if mode == "finite_difference" else 1e-6)
    assert theta == pytest.approx(START.theta, rel=1e-7)
    stepped = [
        START.loss(after, START.phi, batch_of(task.query, t, k))
        for t, thetas in enumerate(trajectories(task))
        for k, after in enumerate(thetas[1:])
    ]
    assert loss == pytest.approx(np.mean(stepped), rel=1e-5)


def test_the_two_orders_differ_here():
    task = scalar_tasks(TASKS, STEPS)
    assert abs(warp_gradient(task, True) - warp_gradient(task, False)) > 1e-2


def test_query_without_steps_serves_every_step():
    task = scalar_tasks(TASKS, STEPS, query_steps=False)
    _, phi, _, _ = train(task, WarpGrad())
    expected = START.phi - BETA * warp_gradient(task, True, query_steps=False)
    assert phi == pytest.approx(expected, rel=1e-6)


def test_support_without_steps_serves_every_step():
    task = scalar_tasks(TASKS, STEPS)
    whole = task._replace(support=tuple(part[:, 0] for part in task.support))
    theta, _, _, _ = train(whole, None, Reptile())
    ends = [thetas[-1] for thetas in trajectories(whole, support_steps=False)]
    expected = START.theta - BETA * 0.5 * (START.theta - np.mean(ends))
    assert theta == pytest.approx(expected, rel=1e-6)


def test_steps_beyond_inner_steps_are_not_used():
    task = scalar_tasks(TASKS, STEPS + 2)
    cut = task._replace(
        support=tuple(p[:, :STEPS] for p in task.support),
        query=tuple(p[:, :STEPS] for p in task.query),
    )
    assert train(task, WarpGrad())[:3] == train(cut, WarpGrad())[:3]


def test_initialisation_has_its_own_optimizer_and_weight():
    task = scalar_tasks(TASKS, STEPS)
    rate = 0.03
    theta, phi, _, _ = train(
        task,
        WarpGrad(),
        Reptile(),
        initialization_optimizer=keras.optimizers.SGD(rate),
    )
    ends = [thetas[-1] for thetas in trajectories(task)]
    assert theta == pytest.approx(
        START.theta - rate * 0.5 * (START.theta - np.mean(ends)), rel=1e-6
    )
    assert phi == pytest.approx(START.phi - BETA * warp_gradient(task, True), rel=1e-6)


@pytest.mark.parametrize("first_order", [True, False])
def test_maml_leaves_the_warp_gradient_alone(first_order):
    task = scalar_tasks(TASKS, STEPS)
    theta, phi, _, _ = train(task, WarpGrad(), MAML(first_order))
    gradients = []
    for t, thetas in enumerate(trajectories(task)):
        gradient = START.theta_gradient(thetas[-1], START.phi, batch_of(task.query, t, STEPS - 1))
        if not first_order:
            for k in range(STEPS):
                x, _ = batch_of(task.support, t, k)
                gradient *= 1 - ALPHA * np.mean(2 * (START.phi * x) ** 2)
        gradients.append(gradient)
    assert theta == pytest.approx(START.theta - BETA * 0.5 * np.mean(gradients), rel=1e-6)
    assert phi == pytest.approx(START.phi - BETA * warp_gradient(task, True), rel=1e-6)


def test_without_objective_the_warp_stays_and_the_loss_is_the_last():
    task = scalar_tasks(TASKS, STEPS)
    theta, phi, loss, _ = train(task, None, MultiTask())
    first = [
        START.theta_gradient(START.theta, START.phi, batch_of(task.support, t, 0))
        for t in range(TASKS)
    ]
    assert theta == pytest.approx(START.theta - BETA * 0.5 * np.mean(first), rel=1e-6)
    assert phi == pytest.approx(START.phi, rel=1e-7)
    after = [
        START.loss(thetas[-1], START.phi, batch_of(task.query, t, STEPS - 1))
        for t, thetas in enumerate(trajectories(task))
    ]
    assert loss == pytest.approx(np.mean(after), rel=1e-5)


def test_learned_rate_and_momentum_move_by_their_own_optimizer():
    task = scalar_tasks(TASKS, STEPS)
    rate = 0.01
    *_, learner = train(
        task, WarpGrad(), inner=LearnedSGD(ALPHA), rate_optimizer=keras.optimizers.SGD(rate)
    )
    alpha, momentum = [], []
    for t, thetas in enumerate(trajectories(task)):
        for k, theta in enumerate(thetas[:-1]):
            g = START.theta_gradient(theta, START.phi, batch_of(task.support, t, k))
            v = START.theta_gradient(thetas[k + 1], START.phi, batch_of(task.query, t, k))
            alpha.append(-v * g)
            # With momentum 0 the stored velocity is the step before.
            momentum.append(v * (theta - thetas[k - 1] if k else 0.0))
    learned = [float(w) for w in learner.inner_optimizer.get_weights()]
    expected = [ALPHA - rate * np.mean(alpha), -rate * np.mean(momentum)]
    np.testing.assert_allclose(learned, expected, rtol=1e-5)


@pytest.mark.parametrize("build", [warptf.WarpMAML, warptf.WarpLeap])
def test_named_combinations_let_themselves_be_overridden(build):
    learner = build(
        START.model(), SGD(0.1), 2, initialization=Reptile(), objective=WarpGrad("none")
    )
    assert isinstance(learner.initialization, Reptile)
    assert learner.objective.second_order == "none"
