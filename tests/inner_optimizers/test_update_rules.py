"""The update rules against Keras' optimizers, against algebra, and their refusals."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.numerics import NumpyAdam, NumpySGD, assert_close, double_precision
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf import inner_optimizers
from warptf.inner_optimizers import SGD, Adam, InnerOptimizer, LearnedSGD

STEPS = 6
A, B = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([1.0, -2.0])


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    with double_precision():
        yield


def slopes(theta: list[Any]) -> list[Any]:
    """The gradients of a quadratic in a vector and of a quartic in a matrix."""
    return [A @ np.asarray(theta[0]) - B, np.asarray(theta[1]) ** 3]


START = [np.array([0.3, -0.7]), np.array([[1.0, -0.5], [0.25, 2.0]])]


def run(optimizer: InnerOptimizer, steps: int = STEPS) -> list[list[np.ndarray]]:
    """The path of an inner optimizer."""
    theta = [tf.constant(t) for t in START]
    optimizer.build_for([keras.Variable(t) for t in START])
    state, path = optimizer.init(theta), []
    for _ in range(steps):
        gradients = [tf.constant(g) for g in slopes(theta)]
        theta, state = optimizer.update(theta, gradients, state, optimizer.hyper_values())
        path.append([t.numpy() for t in theta])
    return path


def run_numpy(rule: Any) -> list[list[np.ndarray]]:
    theta, path = START, []
    state = rule.init(theta)
    for _ in range(STEPS):
        theta, state = rule.update(theta, slopes(theta), state)
        path.append(theta)
    return path


def run_keras(optimizer: keras.optimizers.Optimizer) -> list[list[np.ndarray]]:
    variables = [keras.Variable(t) for t in START]
    path = []
    for _ in range(STEPS):
        optimizer.apply([tf.constant(g) for g in slopes(variables)], variables)
        path.append([np.array(v) for v in variables])
    return path


def assert_same_path(actual: Any, expected: Any, rtol: float = 1e-12) -> None:
    assert len(actual) == len(expected) == STEPS
    for a, e in zip(actual, expected, strict=True):
        assert_close(a, e, rtol)


SGDS = [(0.1, 0.0, False), (0.1, 0.9, False), (0.05, 0.6, True), (0.0, 0.5, False)]


@pytest.mark.parametrize(("rate", "momentum", "nesterov"), SGDS)
def test_sgd_is_that_of_keras(rate: float, momentum: float, nesterov: bool) -> None:
    theirs = keras.optimizers.SGD(rate, momentum=momentum, nesterov=nesterov)
    assert_same_path(run(SGD(rate, momentum, nesterov)), run_keras(theirs), 1e-6)


@pytest.mark.parametrize(("rate", "momentum", "nesterov"), SGDS)
def test_sgd_is_the_written_out_algebra(rate: float, momentum: float, nesterov: bool) -> None:
    assert_same_path(
        run(SGD(rate, momentum, nesterov)), run_numpy(NumpySGD(rate, momentum, nesterov))
    )


def test_sgd_on_a_quadratic_has_the_closed_form() -> None:
    # theta_K - theta* = (I - alpha A)^K (theta_0 - theta*) with A theta* = b.
    optimum = np.linalg.solve(A, B)
    shrink = np.linalg.matrix_power(np.eye(2) - 0.1 * A, STEPS)
    np.testing.assert_allclose(
        run(SGD(0.1))[-1][0], optimum + shrink @ (START[0] - optimum), rtol=1e-12
    )


@settings(max_examples=25)
@given(
    rate=st.floats(1e-3, 0.3),
    momentum=st.floats(0.01, 0.95),
    gradients=st.lists(st.floats(-3, 3), min_size=1, max_size=4),
)
def test_momentum_unrolls_to_a_sum_over_past_gradients(
    rate: float, momentum: float, gradients: list[float]
) -> None:
    # theta_K = theta_0 - alpha sum_j g_j (1 + mu + ... + mu^(K-1-j))
    optimizer = SGD(rate, momentum)
    theta = [tf.constant([0.0], tf.float64)]
    state = optimizer.init(theta)
    for g in gradients:
        theta, state = optimizer.update(theta, [tf.constant([g], tf.float64)], state, [])
    count = len(gradients)
    expected = -rate * sum(
        g * sum(momentum**i for i in range(count - j)) for j, g in enumerate(gradients)
    )
    np.testing.assert_allclose(theta[0].numpy(), [expected], rtol=1e-9, atol=1e-9)


# Keras rounds its own settings to single precision. It adds epsilon to the root before its bias
# is corrected, the paper after: without epsilon they are the same.
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.7), (0.0, 0.9)])
def test_adam_is_that_of_keras(betas: tuple[float, float]) -> None:
    theirs = keras.optimizers.Adam(0.05, *betas, epsilon=1e-14)
    assert_same_path(run(Adam(0.05, *betas, epsilon=1e-14)), run_keras(theirs), 1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 1e-7, 0.1])
def test_adam_is_the_written_out_algebra(epsilon: float) -> None:
    ours = run(Adam(0.05, 0.8, 0.95, epsilon))
    assert_same_path(ours, run_numpy(NumpyAdam(0.05, 0.8, 0.95, epsilon)))


def test_first_step_of_adam_is_the_sign_of_the_gradient() -> None:
    moved = run(Adam(0.05, epsilon=0.0), 1)[0]
    expected = [t - 0.05 * np.sign(g) for t, g in zip(START, slopes(START), strict=True)]
    assert_close(moved, expected, 1e-12)


def test_adam_with_a_zero_gradient_has_finite_derivatives() -> None:
    optimizer, theta = Adam(0.1), [tf.constant([1.0, 2.0, -1.0], tf.float64)]
    gradient = tf.constant([0.0, 0.5, 0.0], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(gradient)
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            first = optimizer.update(theta, [gradient], optimizer.init(theta), [])
            # In the second update the last entry has a gradient for the first time.
            later = gradient + tf.constant([0.0, 0.0, 2.0], tf.float64)
            moved, _ = optimizer.update(first.theta, [later], first.state, [])
        slope = tape.gradient(moved[0], gradient)
    curvature = outer.gradient(slope, gradient)
    assert np.all(np.isfinite(slope)) and np.all(np.isfinite(curvature))
    assert moved[0][0] == 1.0 and slope[0] == 0.0
    # Where gradients are not zero the derivatives are those of the written-out rule.
    assert slope[1] != 0.0 and slope[2] != 0.0


def learned(granularity: str, **kwargs: Any) -> LearnedSGD:
    optimizer = LearnedSGD(0.2, 0.5, granularity=granularity, **kwargs)
    layers = [keras.layers.Dense(3), keras.layers.Dense(2, use_bias=False)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    optimizer.build_for(model.trainable_variables)
    return optimizer


@pytest.mark.parametrize(
    ("granularity", "shapes"),
    [
        ("scalar", [()]),
        ("layer", [(), ()]),
        ("parameter", [(2, 3), (3,), (3, 2)]),
    ],
)
@pytest.mark.parametrize("learn_momentum", [True, False])
@pytest.mark.parametrize("nesterov", [True, False])
def test_learned_rates_apply_to_their_own_parameters(
    granularity: str, shapes: list[tuple[int, ...]], learn_momentum: bool, nesterov: bool
) -> None:
    optimizer = learned(granularity, learn_momentum=learn_momentum, nesterov=nesterov)
    variables = optimizer.trainable_variables
    assert [tuple(v.shape) for v in variables] == shapes * (2 if learn_momentum else 1)
    rng = np.random.default_rng(0)
    for variable, start in zip(variables, [0.2] * len(shapes) + [0.5] * len(shapes), strict=False):
        np.testing.assert_allclose(variable, np.full(variable.shape, start), rtol=1e-7)
        variable.assign(rng.uniform(0.1, 0.6, variable.shape))
    hyper = [np.array(v) for v in variables]
    # The kernel and the bias of the first layer share a rate, the second layer has its own.
    owner = {"scalar": [0, 0, 0], "layer": [0, 0, 1], "parameter": [0, 1, 2]}[granularity]
    rates = [hyper[i] for i in owner]
    momenta = [hyper[len(shapes) + i] if learn_momentum else 0.5 for i in owner]

    theta = [rng.normal(size=s) for s in ((2, 3), (3,), (3, 2))]
    velocity = [np.zeros_like(t) for t in theta]
    actual, state = [tf.constant(t) for t in theta], optimizer.init(theta)
    for _ in range(3):
        gradients = [rng.normal(size=t.shape) for t in theta]
        velocity = [
            mu * m - a * g for mu, m, a, g in zip(momenta, velocity, rates, gradients, strict=True)
        ]
        moves = velocity
        if nesterov:
            moves = [
                mu * m - a * g
                for mu, m, a, g in zip(momenta, velocity, rates, gradients, strict=True)
            ]
        theta = [t + m for t, m in zip(theta, moves, strict=True)]
        actual, state = optimizer.update(
            actual, [tf.constant(g) for g in gradients], state, optimizer.hyper_values()
        )
    assert_close(actual, theta, 1e-12)
    assert_close(state, velocity, 1e-12)


def test_rates_are_created_once() -> None:
    optimizer = learned("layer")
    before = optimizer.trainable_variables
    optimizer.build_for([keras.Variable(START[0])])
    assert len(before) == 4
    assert all(a is b for a, b in zip(before, optimizer.trainable_variables, strict=True))


def test_layers_of_the_same_path_have_rates_of_their_own() -> None:
    def body() -> keras.Model:
        inputs = keras.Input((2,))
        return keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))

    model = keras.Sequential([keras.Input((2,)), body(), body()])
    paths = [v.path for v in model.trainable_variables]
    assert paths[:2] == paths[2:], "the models' layers no longer have the same path"
    optimizer = LearnedSGD(0.1, granularity="layer", learn_momentum=False)
    optimizer.build_for(model.trainable_variables)
    assert len(optimizer.trainable_variables) == 2


def test_meta_gradient_is_clipped_by_its_joint_norm() -> None:
    gradients = [tf.constant(3.0, tf.float64), tf.constant([0.0, 4.0], tf.float64)]
    clipped = learned("scalar", meta_gradient_clip=0.5).clip(gradients)
    assert_close(clipped, [np.array(0.3), np.array([0.0, 0.4])], 1e-12)
    assert_close(learned("scalar", meta_gradient_clip=10.0).clip(gradients), gradients, 1e-12)
    assert_close(learned("scalar").clip(gradients), gradients, 1e-12)
    assert_close(SGD(0.1).clip(gradients), gradients, 1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("SGD", {"learning_rate": -0.1}, "learning_rate.*-0.1"),
        ("SGD", {"learning_rate": float("nan")}, "learning_rate.*nan"),
        ("SGD", {"learning_rate": float("inf")}, "learning_rate.*inf"),
        ("SGD", {"momentum": 1.0}, "momentum.*1.0"),
        ("SGD", {"nesterov": True}, "nesterov.*momentum"),
        ("Adam", {"learning_rate": -1}, "learning_rate.*-1"),
        ("Adam", {"beta_1": 1.0}, "beta_1.*1.0"),
        ("Adam", {"beta_2": -0.1}, "beta_2.*-0.1"),
        ("Adam", {"epsilon": -1e-9}, "epsilon.*-1e-09"),
        ("LearnedSGD", {"learning_rate": -0.1}, "learning_rate.*-0.1"),
        ("LearnedSGD", {"momentum": 1.5}, "momentum.*1.5"),
        ("LearnedSGD", {"granularity": "kernel"}, "granularity.*'kernel'"),
        ("LearnedSGD", {"meta_gradient_clip": 0.0}, "meta_gradient_clip.*0.0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(inner_optimizers, name)(**arguments)


@pytest.mark.parametrize("value", ["0.1", None, True, keras.optimizers.schedules.CosineDecay])
def test_rates_that_are_no_numbers_are_refused(value: Any) -> None:
    for make in (SGD, Adam, LearnedSGD):
        with pytest.raises(TypeError, match="learning_rate must be a number"):
            make(value)


def test_an_inner_optimizer_is_not_called() -> None:
    with pytest.raises(TypeError, match="use its update"):
        SGD(0.1)(tf.zeros([1]))


def test_a_rule_of_ones_own_must_have_an_update() -> None:
    class Nothing(InnerOptimizer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must implement update"):
        Nothing().update([], [], [], [])


def test_learned_rates_are_asked_for_before_they_exist() -> None:
    theta = [tf.constant([1.0])]
    with pytest.raises(ValueError, match="build_for"):
        LearnedSGD(0.1).update(theta, theta, theta, [])
