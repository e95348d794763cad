"""Meta-learning in `float64`: every number is that of NumPy, to the last digits but few.

Derivatives are complex steps of formulas written out here, exact to rounding: what is cast to
`float32` anywhere on the way would be wrong in the eighth digit.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.numerics import double_precision
from meta_learners.problems import one_batch

import warptf
from warptf.initializations import MAML
from warptf.inner_optimizers import SGD
from warptf.tasks import Task

Arrays = list[Any]
RATE, STEPS, TASKS = 0.1, 2, 2


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with double_precision():
        yield


def model() -> keras.Model:
    def kernel(seed: int) -> Any:
        return keras.initializers.RandomNormal(stddev=0.7, seed=seed)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(3, "tanh", kernel_initializer=kernel(1)),
            warptf.layers.WarpDense(3, kernel_initializer=kernel(2)),
            layers.Dense(1, kernel_initializer=kernel(3)),
        ]
    )


def forward(theta: Arrays, phi: Arrays, x: Any) -> tuple[Any, Any, Any]:
    hidden = np.tanh(x @ theta[0] + theta[1])
    warped = hidden @ phi[0] + phi[1]
    return warped @ theta[2] + theta[3], hidden, warped


def loss(theta: Arrays, phi: Arrays, batch: Any) -> Any:
    x, y = batch
    return np.mean((forward(theta, phi, x)[0] - y) ** 2)


def stepped(theta: Arrays, phi: Arrays, batch: Any) -> Arrays:
    """One inner step, its gradient by the chain rule."""
    x, y = batch
    predicted, hidden, warped = forward(theta, phi, x)
    error = 2 * (predicted - y) / len(x)
    below = (error @ theta[2].T @ phi[0].T) * (1 - hidden**2)
    gradients = [x.T @ below, below.sum(0), warped.T @ error, error.sum(0)]
    return [value - RATE * gradient for value, gradient in zip(theta, gradients, strict=True)]


def derivative(function: Callable[[Arrays], Any], at: Arrays) -> Arrays:
    """The gradient of a real function, by complex steps."""
    found = [np.zeros(value.shape) for value in at]
    for part, value in enumerate(at):
        for index in np.ndindex(value.shape):
            moved = [v.astype(complex) for v in at]
            moved[part][index] += 1e-30j
            found[part][index] = np.imag(function(moved)) / 1e-30
    return found


def part(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(TASKS, 5, 2)), random.normal(size=(TASKS, 5, 1))


def close(found: Any, expected: Any) -> None:
    for own, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, value, rtol=1e-10, atol=1e-13)


def assert_double(learner: keras.Model) -> None:
    kinds = {v.path: v.dtype for v in learner.model.variables}
    assert set(kinds.values()) == {"float64"}, kinds


def test_meta_gradients_scores_and_adapted_models_are_those_of_numpy() -> None:
    support, query = part(1), part(2)
    learner = warptf.OnlineMetaLearner(model(), SGD(RATE), STEPS, initialization=MAML())
    assert_double(learner)
    learner.compile(keras.optimizers.SGD(1.0), "mse", ["mae"])
    parts = learner.partition
    groups = (parts.task_variables, parts.warp_variables)
    theta, phi = ([np.array(v) for v in group] for group in groups)
    history = learner.fit(one_batch(Task(support, query)), verbose=0).history

    in_theta, in_phi, losses = [], [], []
    for task in range(TASKS):
        batch, other = ([value[task] for value in each] for each in (support, query))

        def after(theta: Arrays, batch: Any = batch, other: Any = other) -> Any:
            for _ in range(STEPS):
                theta = stepped(theta, phi, batch)
            return loss(theta, phi, other)

        in_theta.append(derivative(after, theta))
        at = theta
        for _ in range(STEPS):
            # Eq. 7: the parameters that the step is taken from are constants.
            in_phi.append(
                derivative(lambda p, at=at, b=batch, o=other: loss(stepped(at, p, b), p, o), phi)
            )
            at = stepped(at, phi, batch)
        losses.append(loss(at, phi, other))
    for old, new, found in ((theta, groups[0], in_theta), (phi, groups[1], in_phi)):
        means = [np.mean(values, axis=0) for values in zip(*found, strict=True)]
        close([a - np.array(b) for a, b in zip(old, new, strict=True)], means)

    # Scores, from where the meta-step has led.
    theta, phi = ([np.array(v) for v in group] for group in groups)
    predicted, scores = [], []
    for task in range(TASKS):
        at = theta
        for _ in range(STEPS):
            at = stepped(at, phi, [value[task] for value in support])
        other = [value[task] for value in query]
        predicted.append(forward(at, phi, other[0])[0])
        scores.append((loss(at, phi, other), np.mean(abs(predicted[-1] - other[1]))))
    data = one_batch(Task(support, query))
    close([learner.evaluate(data, verbose=0)], [np.mean(scores, axis=0)])
    by_task = learner.evaluate_tasks(data)
    close([by_task["loss"], by_task["mae"]], np.transpose(scores))
    assert by_task["loss"].dtype == by_task["support_loss"].dtype == np.float64
    close(learner.predict_along(data)[:, -1], predicted)
    adapted = learner.adapt(support[0][0], support[1][0])
    assert {v.dtype for v in adapted.variables} == {"float64"}
    close([adapted(query[0][0])], predicted[:1])
    assert np.isfinite(history["loss"]).all()


def offline() -> Any:
    adam, leap = warptf.inner_optimizers.Adam(0.01), warptf.initializations.Leap()
    return warptf.OfflineMetaLearner(model(), adam, STEPS, initialization=leap)


def learned_rates() -> Any:
    return warptf.OnlineMetaLearner(
        model(),
        warptf.inner_optimizers.LearnedSGD(RATE),
        STEPS,
        warptf.objectives.WarpGrad("finite_difference"),
        initialization=warptf.initializations.Reptile(),
    )


def stream() -> Any:
    return warptf.ContinualMetaLearner(model(), warp_update_interval=1)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(offline, marks=pytest.mark.slow),
        pytest.param(learned_rates, marks=pytest.mark.slow),
        stream,
    ],
)
def test_what_is_smaller_than_single_precision_counts(make: Any) -> None:
    """Inputs that differ by some 1e-11 make other weights, which differ by no more than that."""
    weights, losses = [], []
    for factor in (1.0, 1.0 + 2e-11):
        learner = make()
        learner.compile(keras.optimizers.SGD(0.1), "mse")
        (x, y), query = part(1), part(2)
        steps = isinstance(learner, warptf.OfflineMetaLearner)
        support = tf.nest.map_structure(
            lambda t, s=steps: np.stack([t] * STEPS, 1) if s else t, (factor * x, y)
        )
        task = Task(support, query, (support, support) if steps else None)
        losses.append(learner.fit(one_batch(task), verbose=0, epochs=2).history["loss"][-1])
        weights.append([np.array(v) for v in learner.model.trainable_variables])
    for one, other in zip(*weights, strict=True):
        assert 0 < np.max(abs(one - other)) < 1e-9
    assert 0 < abs(losses[0] - losses[1]) < 1e-9
