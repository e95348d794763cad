"""The inner loop: its steps, what it threads through them, and Eq. 5."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.learners import Problem, batch_of, parameters_at, squared_error
from contracts.numerics import NumpySGD, assert_close, double_precision

from warptf.adaptation import (
    InnerProblem,
    TaskBatches,
    adapt,
    dense_gradient,
    plain,
    take_step,
)
from warptf.inner_optimizers import SGD, Adam
from warptf.layers import WarpDense
from warptf.partition import FunctionalLearner

Layers = keras.layers
SEED = tf.constant([3, 4])


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    with double_precision():
        yield


def constants(values: Any) -> list[tf.Tensor]:
    return [tf.constant(v) for v in values]


class FactoredMap:
    """The learner x -> x W1 A1 W2 A2 with warps A1, A2, and Omega: (W1, W2) -> W1 A1 W2 A2."""

    def __init__(self) -> None:
        layers = [
            Layers.Dense(3, use_bias=False),
            WarpDense(4, use_bias=False),
            Layers.Dense(3, use_bias=False),
            WarpDense(2, use_bias=False),
        ]
        self.learner = FunctionalLearner(keras.Sequential([keras.Input((4,)), *layers]))
        rng = np.random.default_rng(0)
        self.theta = [rng.normal(size=(4, 3)), rng.normal(size=(4, 3))]
        self.phi = [rng.normal(size=(3, 4)), rng.normal(size=(3, 2))]
        self.x, self.y = rng.normal(size=(7, 4)), rng.normal(size=(7, 2))

    def omega(self, theta: Any) -> np.ndarray:
        (w1, w2), (a1, a2) = theta, self.phi
        return w1 @ a1 @ w2 @ a2

    def loss(self, gamma: np.ndarray) -> float:
        return np.mean((self.x @ gamma - self.y) ** 2)

    def slope(self, gamma: np.ndarray) -> np.ndarray:
        return 2 * self.x.T @ (self.x @ gamma - self.y) / self.y.size

    def transposed_derivative(self, gradient: np.ndarray) -> list[np.ndarray]:
        """[D Omega]^T applied to a gradient in gamma."""
        (w1, w2), (a1, a2) = self.theta, self.phi
        return [gradient @ (a1 @ w2 @ a2).T, (w1 @ a1).T @ gradient @ a2.T]

    def derivative(self, move: list[np.ndarray]) -> np.ndarray:
        """[D Omega] applied to a move of theta."""
        (w1, w2), (a1, a2) = self.theta, self.phi
        return move[0] @ a1 @ w2 @ a2 + w1 @ a1 @ move[1] @ a2

    def warped(self, alpha: float) -> tuple[float, list[tf.Tensor]]:
        """L(Omega(theta - alpha Delta theta)) and Delta theta, by the library."""
        problem = InnerProblem(self.learner, SGD(alpha), squared_error)
        phi, batch = constants(self.phi), (tf.constant(self.x), tf.constant(self.y))
        start = problem.start(parameters_at(self.theta, self.phi), SEED)
        step = plain(problem, *start, batch_of((self.x, self.y)))
        output = problem.loss(step.after.theta, phi, step.after.state, batch)
        return float(output.loss), step.gradients


def test_a_warped_step_is_a_preconditioned_step_to_first_order() -> None:
    # Eq. 5 with Eq. 6: Delta gamma = [D Omega][D Omega]^T grad L(gamma).
    factored = FactoredMap()
    gamma = factored.omega(factored.theta)
    move = factored.transposed_derivative(factored.slope(gamma))
    step = factored.derivative(move)
    errors = []
    for alpha in (4e-4, 2e-4, 1e-4):
        warped, gradients = factored.warped(alpha)
        assert_close(gradients, move, 1e-10)
        errors.append(warped - factored.loss(gamma - alpha * step))
    assert abs(errors[-1]) > 1e-9
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.02)
    np.testing.assert_allclose(errors[1] / errors[2], 4, rtol=0.01)


def test_steps_without_a_rate_change_nothing() -> None:
    factored = FactoredMap()
    loss, _ = factored.warped(0.0)
    np.testing.assert_allclose(loss, factored.loss(factored.omega(factored.theta)), rtol=1e-12)


class Losses:
    """An observer that adds up the losses of the steps."""

    def begin(self, start: Any) -> Any:
        return tf.constant(0.0, tf.float64)

    def observe(self, k: Any, step: Any, carry: Any) -> Any:
        return carry + step.loss

    def end(self, adapted: Any, carry: Any) -> Any:
        return carry


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("steps", [4, tf.constant(4), 0])
def test_the_loop_is_its_steps(compiled: bool, steps: Any) -> None:
    problem = Problem("dense", SGD(0.1, 0.5))
    rule, count = NumpySGD(0.1, 0.5), int(steps)
    batches = [problem.batch(k) for k in range(4)]
    theta, state, losses = problem.theta, rule.init(problem.theta), []
    for batch in batches[:count]:
        loss, gradients, _ = problem.plain.gradients(theta, problem.phi, batch)
        theta, state = rule.update(theta, gradients, state)
        losses.append(loss)
    x, y = (np.stack(part) for part in zip(*batches, strict=True))
    weights = [np.array(w) for w in problem.model.weights]

    def run() -> Any:
        batches = TaskBatches((tf.constant(x), tf.constant(y)), support_has_steps=True)
        observers = [Losses()]
        adapted = adapt(problem.adaptation, problem.start(), batches, steps, observers=observers)
        return adapted.final, adapted.observed[0]

    inner, total = (tf.function(run, autograph=False) if compiled else run)()
    assert_close(inner.theta, theta, 1e-10)
    if count:
        assert_close(inner.optimizer, state, 1e-10)
    np.testing.assert_allclose(total, sum(losses), rtol=1e-10)
    for before, after in zip(weights, problem.model.weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_step_tells_where_it_was_and_where_it_went() -> None:
    problem = Problem("dense", Adam(0.1))
    batch, start = problem.batch(0), problem.inner()
    step = plain(problem.adaptation, start, problem.start().shared, batch_of(batch))
    loss, gradients, _ = problem.plain.gradients(problem.theta, problem.phi, batch)
    np.testing.assert_allclose(step.loss, loss, rtol=1e-12)
    assert_close(step.gradients, gradients, 1e-12)
    assert step.before is start
    assert step.predictions.shape == (5, 2)
    moved = [t - 0.1 * np.sign(g) for t, g in zip(problem.theta, gradients, strict=True)]
    assert_close(step.after.theta, moved, 1e-5)


def test_penalties_of_the_layers_are_part_of_the_loss() -> None:
    layers = [
        Layers.Dense(2, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.3)),
        WarpDense(2, use_bias=False),
        Layers.ActivityRegularization(l2=0.1),
    ]
    learner = FunctionalLearner(keras.Sequential([keras.Input((2,)), *layers]))
    problem = InnerProblem(learner, SGD(0.1), squared_error)
    rng = np.random.default_rng(0)
    w, a, x, y = (rng.normal(size=(2, 2)) for _ in range(4))
    output = problem.loss(constants([w]), constants([a]), [], (tf.constant(x), tf.constant(y)))
    prediction = x @ w @ a
    # Keras averages activity penalties over the batch.
    expected = np.mean((prediction - y) ** 2) + 0.3 * np.sum(w**2) + 0.1 * np.sum(prediction**2) / 2
    np.testing.assert_allclose(output.loss, expected, rtol=1e-7)
    np.testing.assert_allclose(output.predictions, prediction, rtol=1e-12)


def test_losses_by_example_and_reduced_ones_give_the_same() -> None:
    problem = Problem("dense", SGD(0.1))
    batch, phi = tuple(constants(problem.batch(0))), constants(problem.phi)
    values = [
        InnerProblem(problem.learner, problem.optimizer, loss)
        .loss(constants(problem.theta), phi, problem.inner().state, batch)
        .loss
        for loss in ("mse", keras.losses.MeanSquaredError(), squared_error)
    ]
    np.testing.assert_allclose(values, float(values[2]), rtol=1e-12)


def test_batch_statistics_start_anew_and_gather_along_the_steps() -> None:
    problem = Problem("batch-norm", SGD(0.1))
    for variable in problem.model.non_trainable_variables:
        variable.assign(variable + 5.0)
    inner, shared = problem.start()
    mean, variance = np.zeros(4), np.ones(4)
    for k in range(3):
        x, y = problem.batch(k)
        kernel, bias = (inner.theta[i].numpy() for i in (0, 1))
        hidden = x @ kernel + bias
        mean = 0.9 * mean + 0.1 * hidden.mean(axis=0)
        variance = 0.9 * variance + 0.1 * hidden.var(axis=0)
        inner = plain(problem.adaptation, inner, shared, batch_of((x, y))).after
    np.testing.assert_allclose(inner.state[0], mean, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(inner.state[1], variance, rtol=1e-7)


def test_dropout_masks_follow_the_seed_and_the_step() -> None:
    layers = [Layers.Dropout(0.5), Layers.Dense(1, use_bias=False)]
    learner = FunctionalLearner(keras.Sequential([keras.Input((30,)), *layers]))
    problem = InnerProblem(learner, SGD(0.0), squared_error)
    # One example per input, so that each prediction tells whether its input was dropped.
    batch = (tf.eye(30, dtype=tf.float64), tf.zeros((30, 1), tf.float64))
    theta = [tf.ones((30, 1), tf.float64)]

    def masks(seed: int, steps: int = 2) -> list[np.ndarray]:
        (inner, shared), found = problem.start(parameters_at(theta), tf.constant([seed, 0])), []
        for _ in range(steps):
            step = plain(problem, inner, shared, batch_of(batch))
            inner = step.after
            found.append(step.predictions.numpy()[:, 0])
        return found

    once, again, other = masks(1), masks(1), masks(2)
    assert set(np.concatenate(once)) == {0.0, 2.0}
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once[0], once[1])
    assert not np.array_equal(once[0], other[0])


def test_context_starts_from_zero_whatever_the_variables_hold() -> None:
    problem = Problem("context", SGD(0.1, 0.5))
    for variable in problem.learner.partition.context_variables:
        variable.assign(variable + 1.0)
    start = problem.adaptation.start(problem.adaptation.parameters(), SEED).state
    assert [t.shape for t in start.context] == [(2,), (2,)]
    for value in (*start.context, *start.optimizer):
        np.testing.assert_array_equal(value, np.zeros(value.shape))


def test_batches_of_a_step() -> None:
    x, y = tf.reshape(tf.range(24), (4, 3, 2)), tf.reshape(tf.range(12), (4, 3))
    one = take_step(({"a": x}, y), tf.constant(2), True)
    np.testing.assert_array_equal(one[0]["a"], np.arange(24).reshape(4, 3, 2)[2])
    np.testing.assert_array_equal(one[1], [6, 7, 8])
    whole = take_step((x, y), tf.constant(2), False)
    assert whole[0] is x and whole[1] is y


def test_gradients_are_dense_and_zero_where_there_is_no_path() -> None:
    table, other = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), tf.constant([7.0])
    with tf.GradientTape() as tape:
        tape.watch(other)
        rows = tf.gather(table, [2, 0, 2])
    gradients = dense_gradient(tape, rows, {"table": table, "other": other})
    np.testing.assert_array_equal(gradients["table"], [[1, 1], [0, 0], [2, 2]])
    np.testing.assert_array_equal(gradients["other"], [0])
    with tf.GradientTape() as tape:
        rows = tf.gather(table, [1])
    weighted = dense_gradient(tape, rows, [table], [tf.constant([[10.0, 20.0]])])
    np.testing.assert_array_equal(weighted[0], [[0, 0], [10, 20], [0, 0]])


@pytest.mark.parametrize(
    ("loss", "message"), [(None, "loss must be.*None"), ("nonsense", "nonsense")]
)
def test_losses_that_are_none_are_refused(loss: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InnerProblem(Problem("dense", SGD(0.1)).learner, SGD(0.1), loss)
