"""Implicit and first-order bilevel MAML against closed forms on quadratics and dense Hessians."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from contracts.initialization import Task
from contracts.learners import Problem
from contracts.numerics import Arrays, assert_close, double_precision

from warptf.initializations import FirstOrderBilevelMAML, ImplicitMAML, Initialization
from warptf.initializations.conjugate_gradient import solve
from warptf.inner_optimizers import SGD, InnerOptimizer, Proximal

RHO = 0.7


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    with double_precision():
        yield


class Quadratic:
    """mean((X theta - y)^2) for the task and the meta loss, H = X'X / N, regularised by rho."""

    def __init__(self, steps: int = 400) -> None:
        rng = np.random.default_rng(0)
        self.x, self.y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        self.x_meta, self.y_meta = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        self.theta = rng.normal(size=(3, 2))
        # The mean also runs over the two outputs.
        self.hessian = self.x.T @ self.x / 6
        self.meta_hessian = self.x_meta.T @ self.x_meta / 6
        self.problem = Problem("linear", Proximal(SGD(0.3), RHO))
        self.problem.theta = [self.theta]
        support, query = (self.x, self.y), (self.x_meta, self.y_meta)
        self.task = Task(self.problem, [support], query, steps)

    def minimum(self, nu: float = 0.0) -> np.ndarray:
        """The zero of the gradient of L_task + rho / 2 |theta - theta_0|^2 + nu L_meta."""
        matrix = self.hessian + RHO * np.eye(3) + nu * self.meta_hessian
        right = self.x.T @ self.y / 6 + RHO * self.theta + nu * self.x_meta.T @ self.y_meta / 6
        return np.linalg.solve(matrix, right)

    def meta_slope(self, theta: np.ndarray) -> np.ndarray:
        return self.x_meta.T @ (self.x_meta @ theta - self.y_meta) / 6

    def implicit(self) -> np.ndarray:
        """The derivative of L_meta(theta*) in theta_0: rho (H + rho I)^-1 grad L_meta(theta*)."""
        slope = self.meta_slope(self.minimum())
        return RHO * np.linalg.solve(self.hessian + RHO * np.eye(3), slope)

    def learn(self, initialization: Initialization) -> np.ndarray:
        return self.learned(initialization)[0]

    def learned(self, initialization: Initialization) -> tuple[np.ndarray, np.ndarray]:
        """The gradient, and where adaptation ended."""

        @tf.function(autograph=False)
        def learn(theta: tf.Tensor) -> Any:
            step = self.task.learn(initialization, [theta])
            return step.gradient[0], step.adapted.final.theta[0]

        gradient, final = learn(tf.constant(self.theta))
        return gradient.numpy(), final.numpy()


def test_proximal_descent_ends_at_the_regularised_minimum() -> None:
    quadratic = Quadratic()
    final = quadratic.learned(ImplicitMAML(RHO))[1]
    np.testing.assert_allclose(final, quadratic.minimum(), rtol=1e-10)


def test_implicit_maml_on_a_quadratic_has_the_closed_form() -> None:
    # The Hessian has three different eigenvalues: three steps of conjugate gradient solve it.
    quadratic = Quadratic()
    gradient = quadratic.learn(ImplicitMAML(RHO, conjugate_gradient_steps=3))
    np.testing.assert_allclose(gradient, quadratic.implicit(), rtol=1e-8)
    # The derivative of the minimum itself, by central differences.
    loss = lambda t: np.mean((quadratic.x_meta @ t - quadratic.y_meta) ** 2)  # noqa: E731
    start, step = quadratic.theta.copy(), 1e-4
    for index in np.ndindex(*start.shape):
        values = []
        for sign in (1, -1):
            quadratic.theta = start.copy()
            quadratic.theta[index] += sign * step
            values.append(loss(quadratic.minimum()))
        np.testing.assert_allclose(gradient[index], (values[0] - values[1]) / (2 * step), rtol=1e-6)


def test_the_damped_system_is_that_of_the_authors() -> None:
    quadratic = Quadratic()
    system = 2.0 * np.eye(3) + quadratic.hessian / (RHO + 10.0)
    expected = np.linalg.solve(system, quadratic.meta_slope(quadratic.minimum()))
    gradient = quadratic.learn(ImplicitMAML(RHO, 3, system="damped"))
    np.testing.assert_allclose(gradient, expected, rtol=1e-8)


@pytest.mark.parametrize("symmetric", [False, True])
def test_bilevel_estimate_is_the_difference_of_two_minima(symmetric: bool) -> None:
    quadratic, nu = Quadratic(), 0.05
    behind, width = (quadratic.minimum(-nu), 2 * nu) if symmetric else (quadratic.minimum(), nu)
    expected = RHO * (behind - quadratic.minimum(nu)) / width
    gradient = quadratic.learn(FirstOrderBilevelMAML(RHO, nu, symmetric))
    np.testing.assert_allclose(gradient, expected, rtol=1e-8)


@pytest.mark.parametrize(("symmetric", "order"), [(False, 1), (True, 2)])
def test_bilevel_errors_fall_at_their_order(symmetric: bool, order: int) -> None:
    quadratic = Quadratic()
    errors = [
        np.linalg.norm(
            quadratic.learn(FirstOrderBilevelMAML(RHO, nu, symmetric)) - quadratic.implicit()
        )
        for nu in (0.02, 0.01)
    ]
    np.testing.assert_allclose(errors[0] / errors[1], 2.0**order, rtol=0.05)


def dense_hessian(problem: Problem, theta: Arrays, batch: Any) -> np.ndarray:
    """The Hessian of the loss in theta, by central differences of gradients."""
    shapes = [t.shape for t in theta]
    flat = np.concatenate([t.ravel() for t in theta])

    def slope(point: np.ndarray) -> np.ndarray:
        parts = np.split(point, np.cumsum([np.prod(s) for s in shapes])[:-1].astype(int))
        values = [p.reshape(s) for p, s in zip(parts, shapes, strict=True)]
        gradients = problem.plain.gradients(values, problem.phi, batch)[1]
        return np.concatenate([g.ravel() for g in gradients])

    columns = [
        (slope(flat + step) - slope(flat - step)) / 2e-5 for step in 1e-5 * np.eye(len(flat))
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("kind", ["dense", "batch-norm", "residual", "context"])
@pytest.mark.parametrize("graph", [False, True])
def test_implicit_maml_solves_the_system_of_a_network(kind: str, graph: bool) -> None:
    # With a large rho the system is positive definite, whatever the Hessian.
    rho = 20.0
    problem = Problem(kind, SGD(0.1, 0.5))
    support, query = [problem.batch(i) for i in range(3)], problem.batch(9)
    context = len(problem.learner.partition.context_variables)
    task = Task(problem, support, query, 3, context)

    def learn(theta: Any) -> Any:
        learned = task.learn(ImplicitMAML(rho, conjugate_gradient_steps=60), theta)
        return learned.gradient, learned.adapted.final.moving

    theta = [tf.constant(t) for t in problem.theta]
    gradient, final = tf.function(learn, autograph=False)(theta) if graph else learn(theta)
    final = [t.numpy() for t in final]
    hessian = dense_hessian(problem, final, support[-1])
    slopes = problem.plain.gradients(final, problem.phi, query)[1]
    right = np.concatenate([g.ravel() for g in slopes])
    expected = np.linalg.solve(np.eye(len(right)) + hessian / rho, right)
    actual = np.concatenate([np.ravel(g) for g in gradient])
    # The context is solved for together with theta, but has no gradient.
    assert_close([actual], [expected[: len(actual)]], 1e-6)


def test_conjugate_gradient_stops_at_negative_curvature() -> None:
    b = [tf.constant([1.0, 2.0], tf.float64)]

    def along(*diagonal: float) -> Any:
        return lambda v: [v[0] * tf.constant(diagonal, tf.float64)]

    np.testing.assert_allclose(solve(along(2.0, 4.0), b, 2)[0], [0.5, 0.5], rtol=1e-12)
    np.testing.assert_array_equal(solve(along(-1.0, -3.0), b, 5)[0], b[0])
    # The first direction, b, is curved upwards; the second is not: the first step stands.
    alpha = 5.0 / (10.0 - 4.0 * 0.5)
    np.testing.assert_allclose(solve(along(10.0, -0.5), b, 5)[0], alpha * b[0], rtol=1e-12)
    np.testing.assert_array_equal(solve(along(1.0, 1.0), [0 * b[0]], 5)[0], [0.0, 0.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImplicitMAML(0.0), "proximal_weight must be above 0"),
        (lambda: ImplicitMAML(1.0, 0), "conjugate_gradient_steps .* at least 1, got 0"),
        (lambda: ImplicitMAML(system="authors"), "system must be one of .*got 'authors'"),
        (lambda: FirstOrderBilevelMAML(float("nan")), "proximal_weight .*got nan"),
        (lambda: FirstOrderBilevelMAML(1.0, -0.1), "perturbation must be above 0.*got -0.1"),
        (
            lambda: ImplicitMAML(1.0).inner_optimizer(Proximal(SGD(0.1), 2.0)),
            "Proximal with weight=2.0, but .* proximal_weight=1.0",
        ),
        (lambda: Proximal(SGD(0.1), -1.0), "weight must be a number"),
    ],
)
def test_bad_arguments_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_proximal_wants_an_inner_optimizer() -> None:
    with pytest.raises(TypeError, match="optimizer must be an InnerOptimizer, got 'sgd'"):
        Proximal("sgd", 1.0)  # type: ignore[arg-type]


def test_the_inner_optimizer_is_made_proximal_once() -> None:
    rule: InnerOptimizer = SGD(0.1)
    wrapped = ImplicitMAML(2.0).inner_optimizer(rule)
    assert isinstance(wrapped, Proximal) and wrapped.weight == 2.0 and wrapped.rule is rule
    assert ImplicitMAML(2.0).inner_optimizer(wrapped) is wrapped
