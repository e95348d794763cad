"""Gradients of initialisations against closed forms, NumPy loops and central differences."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from contracts.initialization import Task
from contracts.learners import Problem
from contracts.numerics import (
    Arrays,
    Batch,
    NumpySGD,
    assert_close,
    assert_gradient,
    double_precision,
    inner_product,
    leap_gradient,
)

from warptf.initializations import MAML, Fixed, Initialization, Leap, MultiTask, Reptile
from warptf.inner_optimizers import SGD

STEPS = 3


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    with double_precision():
        yield


class Setting:
    """A task, and adaptation to it in NumPy."""

    def __init__(self, kind: str, momentum: float = 0.0, batches: int = 1) -> None:
        self.problem = Problem(kind, SGD(0.2, momentum))
        self.rule = NumpySGD(0.2, momentum)
        support = [self.problem.batch(i) for i in range(batches)]
        self.task = Task(self.problem, support, self.problem.batch(9), STEPS)

    def gradients(self, theta: Arrays, batch: Batch) -> tuple[float, Arrays]:
        return self.problem.plain.gradients(theta, self.problem.phi, batch)[:2]

    def path(self, theta: Arrays) -> list[Arrays]:
        """theta_0 .. theta_K."""
        path, state = [theta], self.rule.init(theta)
        for batch in self.task.support:
            theta, state = self.rule.update(theta, self.gradients(theta, batch)[1], state)
            path.append(theta)
        return path

    def meta_loss(self, theta: Arrays) -> float:
        return self.problem.plain.loss(self.path(theta)[-1], self.problem.phi, self.task.query)

    def learn(self, initialization: Initialization) -> list[tf.Tensor]:
        return self.task.learn(initialization, self.problem.theta).gradient


KINDS = [
    ("dense", 0.0, 1),
    ("dense", 0.9, 3),
    ("batch-norm", 0.9, 3),
    ("residual", 0.0, 3),
    ("conv", 0.9, 1),
    ("embedding", 0.9, 3),
]


@pytest.mark.parametrize(("kind", "momentum", "batches"), KINDS)
def test_maml_is_the_gradient_through_all_steps(kind: str, momentum: float, batches: int) -> None:
    setting = Setting(kind, momentum, batches)
    # Small, so that no other entry becomes the largest in its pool.
    step = 1e-5 if kind == "conv" else 1e-3
    assert_gradient(setting.learn(MAML()), setting.meta_loss, setting.problem.theta, step=step)


@pytest.mark.parametrize(("kind", "momentum", "batches"), KINDS)
def test_first_order_gradients(kind: str, momentum: float, batches: int) -> None:
    setting = Setting(kind, momentum, batches)
    theta, path = setting.problem.theta, setting.path(setting.problem.theta)
    expected = setting.gradients(path[-1], setting.task.query)[1]
    assert_close(setting.learn(MAML(first_order=True)), expected, 1e-10)
    assert_close(
        setting.learn(Reptile()), [a - b for a, b in zip(theta, path[-1], strict=True)], 1e-10
    )
    assert_close(setting.learn(MultiTask()), setting.gradients(theta, setting.task.support[0])[1])
    assert setting.learn(Fixed()) is None


class Quadratic:
    """A linear regression: mean((X theta - y)^2), H = 2 X'X / N, in closed form."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x, self.y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        self.x_meta, self.y_meta = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        self.theta = rng.normal(size=(3, 2))
        problem = Problem("linear", SGD(0.1))
        problem.theta = [self.theta]
        self.task = Task(problem, [(self.x, self.y)], (self.x_meta, self.y_meta), STEPS)
        # The mean also runs over the two outputs.
        self.hessian = self.x.T @ self.x / 6
        self.optimum = np.linalg.lstsq(self.x, self.y)[0]
        self.shrink = np.eye(3) - 0.1 * self.hessian

    def loss(self, theta: np.ndarray) -> float:
        return np.mean((self.x @ theta - self.y) ** 2)

    def slope(self, theta: np.ndarray) -> np.ndarray:
        return self.hessian @ (theta - self.optimum)

    def at(self, k: int) -> np.ndarray:
        """theta_k = theta* + (I - alpha H)^k (theta_0 - theta*)."""
        power = np.linalg.matrix_power(self.shrink, k)
        return self.optimum + power @ (self.theta - self.optimum)

    def learn(self, initialization: Initialization) -> np.ndarray:
        return self.task.learn(initialization, [self.theta]).gradient[0].numpy()


def test_maml_and_reptile_on_a_quadratic_have_closed_forms() -> None:
    quadratic = Quadratic()
    final = quadratic.at(STEPS)
    meta = quadratic.x_meta.T @ (quadratic.x_meta @ final - quadratic.y_meta) / 6
    np.testing.assert_allclose(quadratic.learn(MAML(first_order=True)), meta, rtol=1e-10)
    power = np.linalg.matrix_power(quadratic.shrink, STEPS)
    np.testing.assert_allclose(quadratic.learn(MAML()), power @ meta, rtol=1e-10)
    np.testing.assert_allclose(quadratic.learn(Reptile()), quadratic.theta - final, rtol=1e-10)
    np.testing.assert_allclose(
        quadratic.learn(MultiTask()), quadratic.slope(quadratic.theta), rtol=1e-10
    )


LEAPS = list(itertools.product([True, False], repeat=3))


@pytest.mark.parametrize(("length", "include_loss", "stabilizer"), LEAPS)
def test_leap_on_a_quadratic(length: bool, include_loss: bool, stabilizer: bool) -> None:
    quadratic = Quadratic()
    thetas = [quadratic.at(k) for k in range(STEPS + 1)]
    losses = [quadratic.loss(t) for t in thetas]
    slopes = [[quadratic.slope(t)] for t in thetas]
    options = (length, include_loss, stabilizer)
    expected = leap_gradient([[t] for t in thetas], losses, slopes, *options)
    np.testing.assert_allclose(quadratic.learn(Leap(*options)), expected[0], rtol=1e-10)


@pytest.mark.parametrize(("length", "include_loss", "stabilizer"), LEAPS)
@pytest.mark.parametrize(
    ("kind", "batches"), [("dense", 1), ("dense", 3), ("batch-norm", 3), ("residual", 3)]
)
def test_leap_on_a_network(
    length: bool, include_loss: bool, stabilizer: bool, kind: str, batches: int
) -> None:
    setting = Setting(kind, 0.9, batches)
    thetas = setting.path(setting.problem.theta)
    # The loss at theta_K is that of the last step's batch.
    batches_seen = [*setting.task.support, setting.task.support[-1]]
    seen = [setting.gradients(t, b) for t, b in zip(thetas, batches_seen, strict=True)]
    losses, slopes = [s[0] for s in seen], [s[1] for s in seen]
    # The loss rises at times, so that the stabiliser makes a difference.
    assert np.any(np.diff(losses) > 0) and np.any(np.diff(losses) < 0)
    options = (length, include_loss, stabilizer)
    assert_close(
        setting.learn(Leap(*options)), leap_gradient(thetas, losses, slopes, *options), 1e-9
    )


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("include_loss", [True, False])
def test_leap_pulls_each_point_towards_the_next(length: bool, include_loss: bool) -> None:
    # Unstabilised, each term is the derivative of the distance (or half its square) to the next
    # point of the path, which stands still, while all points behind move along with theta_0.
    setting = Setting("residual")
    thetas, batch = setting.path(setting.problem.theta), setting.task.support[0]
    losses = [setting.gradients(t, batch)[0] for t in thetas]

    def distance(shift: Arrays) -> float:
        total = 0.0
        for k in range(1, STEPS + 1):
            behind = [t + s for t, s in zip(thetas[k - 1], shift, strict=True)]
            moves = [a - b for a, b in zip(thetas[k], behind, strict=True)]
            square = inner_product(moves, moves)
            if include_loss:
                square += (losses[k] - setting.gradients(behind, batch)[0]) ** 2
            total += np.sqrt(square) if length else square / 2
        return total

    gradient = setting.learn(Leap(length, include_loss, stabilizer=False))
    zeros = [np.zeros_like(t) for t in setting.problem.theta]
    assert_gradient(gradient, distance, zeros, step=1e-4)


def test_an_initialization_of_ones_own_must_learn() -> None:
    class Nothing(Initialization):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must implement learn"):
        Nothing().end(None, ())


def test_only_exact_maml_differentiates_the_adaptation() -> None:
    assert MAML().differentiates_adaptation
    for other in (MAML(first_order=True), Reptile(), Leap(), MultiTask(), Fixed()):
        assert not other.differentiates_adaptation
    assert not Fixed().learns
    assert all(i.learns for i in (MAML(), MAML(True), Reptile(), Leap(), MultiTask()))
