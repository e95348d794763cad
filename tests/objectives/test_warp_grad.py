"""Eq. 7, Eq. 8 and the finite-difference estimate, against central differences."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.learners import KINDS, Problem, batch_of, parameters_at
from contracts.numerics import (
    Arrays,
    NumpyAdam,
    NumpySGD,
    assert_close,
    assert_gradient,
    double_precision,
    flat_adam_state,
    inner_product,
)

from warptf import objectives
from warptf.inner_optimizers import SGD, Adam, InnerOptimizer, LearnedSGD
from warptf.objectives import Lookahead, Objective, WarpGrad


@pytest.fixture
def _double() -> Iterator[None]:
    with double_precision():
        yield


double = pytest.mark.usefixtures("_double")

# Each rule in the library and written out.
RULES: dict[str, tuple[Callable[[], InnerOptimizer], Any]] = {
    "sgd": (lambda: SGD(0.3), NumpySGD(0.3)),
    "slow sgd": (lambda: SGD(0.1), NumpySGD(0.1)),
    "momentum": (lambda: SGD(0.3, 0.9), NumpySGD(0.3, 0.9)),
    "nesterov": (lambda: SGD(0.3, 0.9, True), NumpySGD(0.3, 0.9, True)),
    "adam": (lambda: Adam(0.2, 0.8, 0.9, 1e-3), NumpyAdam(0.2, 0.8, 0.9, 1e-3)),
}
CASES = [(kind, "sgd") for kind in KINDS if kind != "linear"] + [
    ("dense", "momentum"),
    ("dense", "nesterov"),
    ("dense", "adam"),
    ("batch-norm", "momentum"),
    ("residual", "adam"),
]


def stored_state(rule: Any, theta: Arrays, seed: int = 5) -> Any:
    """A state such as a rule has after a few steps."""
    rng = np.random.default_rng(seed)
    velocity = [0.1 * rng.normal(size=t.shape) for t in theta]
    if isinstance(rule, NumpyAdam):
        return velocity, [rng.uniform(0.01, 0.1, t.shape) for t in theta], 3
    return velocity


class Setting:
    """A learner in the middle of adaptation, and the objective's term there, in plain NumPy."""

    def __init__(self, kind: str, rule: str) -> None:
        make, self.rule = RULES[rule]
        self.problem = Problem(kind, make())
        self.batch, self.meta_batch = self.problem.batch(0), self.problem.batch(1)
        self.state = stored_state(self.rule, self.problem.theta)
        flat = flat_adam_state(self.state) if rule == "adam" else self.state
        self.inner = self.problem.inner(() if "sgd" in rule else flat)

    def stepped(self, phi: Arrays) -> Arrays:
        """u(theta_k, gradient of the task loss at phi)."""
        plain, theta = self.problem.plain, self.problem.theta
        gradients = plain.gradients(theta, phi, self.batch)[1]
        return self.rule.update(theta, gradients, self.state)[0]

    def equation_7(self, phi: Arrays) -> float:
        return self.problem.plain.loss(self.stepped(phi), phi, self.meta_batch)

    def equation_8(self, phi: Arrays) -> float:
        constant = self.stepped(self.problem.phi)
        return self.problem.plain.loss(constant, phi, self.meta_batch)

    def lookahead(self, objective: WarpGrad, hyper: Any = ()) -> Lookahead:
        shared = parameters_at((), self.problem.phi, hyper)
        batch = batch_of(self.batch, self.meta_batch)
        return objective.lookahead(self.problem.adaptation, self.inner, shared, batch)


@double
@pytest.mark.parametrize(("kind", "rule"), CASES)
def test_exact_gradient_is_that_of_equation_7(kind: str, rule: str) -> None:
    setting = Setting(kind, rule)
    weights = [np.array(w) for w in setting.problem.model.weights]
    look = setting.lookahead(WarpGrad("exact"))
    phi = setting.problem.phi
    np.testing.assert_allclose(look.meta_loss, setting.equation_7(phi), rtol=1e-10)
    assert_close(look.step.after.theta, setting.stepped(phi), 1e-10)
    assert_gradient(look.phi_gradient, setting.equation_7, phi)
    assert look.hyper_gradient == []
    for before, after in zip(weights, setting.problem.model.weights, strict=True):
        np.testing.assert_array_equal(before, after)


@double
@pytest.mark.parametrize(
    ("kind", "rule"), [*CASES[:2], ("residual-conv", "sgd"), ("dense", "adam")]
)
def test_approximate_gradient_is_that_of_equation_8(kind: str, rule: str) -> None:
    setting, objective = Setting(kind, rule), WarpGrad("none")
    look = setting.lookahead(objective)
    assert_gradient(look.phi_gradient, setting.equation_8, setting.problem.phi)
    # The same from the stepped point alone, with no inner step.
    shared = parameters_at((), setting.problem.phi)
    meta_batch = tuple(map(tf.constant, setting.meta_batch))
    stored = objective.stored(setting.problem.adaptation, look.step.after, shared, meta_batch)
    assert stored.step is None and stored.hyper_gradient == []
    assert_close(stored.phi_gradient, look.phi_gradient, 1e-12)
    np.testing.assert_allclose(stored.meta_loss, look.meta_loss, rtol=1e-12)


@double
def test_exact_and_approximate_gradients_differ() -> None:
    setting = Setting("dense", "sgd")
    exact, approximate = (setting.lookahead(WarpGrad(m)).phi_gradient for m in ("exact", "none"))
    difference = [a - b for a, b in zip(exact, approximate, strict=True)]
    assert inner_product(difference, difference) > 1e-4 * inner_product(exact, exact)


@double
def test_exact_gradient_on_a_quadratic_has_the_closed_form() -> None:
    # f(x) = s w x, mean squared errors. With r = s w x - y on the task batch and w' = w - alpha
    # 2 s mean(r x): d/ds = 2 mean(r' x') (w' + s dw'/ds), dw'/ds = -2 alpha mean(r x + s w x^2).
    rng = np.random.default_rng(0)
    x, y, x_meta, y_meta = rng.normal(size=(4, 6, 1))
    w, s, alpha = 0.7, -1.3, 0.2
    residual = s * w * x - y
    stepped = w - alpha * 2 * s * np.mean(residual * x)
    slope = -2 * alpha * np.mean(residual * x + s * w * x**2)
    outer = 2 * np.mean((s * stepped * x_meta - y_meta) * x_meta)
    problem = scalar_problem(SGD(alpha), w, s)
    for mode, expected in (
        ("exact", outer * (stepped + s * slope)),
        ("none", outer * stepped),
        ("finite_difference", outer * (stepped + s * slope)),
    ):
        look = WarpGrad(mode, central=True).lookahead(
            problem.adaptation,
            *problem.start(),
            batch_of((x, y), (x_meta, y_meta)),
        )
        np.testing.assert_allclose(look.phi_gradient[0], [[expected]], rtol=1e-9)


def scalar_problem(optimizer: InnerOptimizer, w: float, s: float) -> Problem:
    """The learner x -> s w x."""
    problem = Problem("scalar", optimizer)
    problem.theta, problem.phi = [np.array([[w]])], [np.array([[s]])]
    return problem


@double
@pytest.mark.parametrize("granularity", ["scalar", "layer", "parameter"])
@pytest.mark.parametrize("mode", ["exact", "none", "finite_difference"])
def test_gradient_of_learned_rates(granularity: str, mode: str) -> None:
    setting = Setting("dense", "momentum")
    optimizer = LearnedSGD(0.2, 0.6, granularity=granularity)
    setting.problem = Problem("dense", optimizer)
    hyper = [h.numpy() for h in optimizer.hyper_values()]
    owner = {"scalar": [0] * 4, "layer": [0, 0, 1, 1], "parameter": [0, 1, 2, 3]}[granularity]
    plain, theta, phi = setting.problem.plain, setting.problem.theta, setting.problem.phi
    gradients = plain.gradients(theta, phi, setting.batch)[1]

    def meta_loss(values: Arrays) -> float:
        rates, momenta = np.split(np.array(values, dtype=object), 2)
        moved = [
            t + momenta[i] * m - rates[i] * g
            for t, m, g, i in zip(theta, setting.state, gradients, owner, strict=True)
        ]
        return plain.loss([np.asarray(t, float) for t in moved], phi, setting.meta_batch)

    look = setting.lookahead(WarpGrad(mode), [tf.constant(h) for h in hyper])
    assert [g.shape for g in look.hyper_gradient] == [h.shape for h in hyper]
    assert_gradient(look.hyper_gradient, meta_loss, hyper)
    np.testing.assert_allclose(look.meta_loss, meta_loss(hyper), rtol=1e-10)


SMOOTH = ["dense", "residual", "batch-norm"]
SINGLE = [*SMOOTH, "conv", "residual-conv", "context", "embedding"]


def relative_error(actual: Any, expected: Any) -> float:
    difference = [a - e for a, e in zip(actual, expected, strict=True)]
    return np.sqrt(inner_product(difference, difference) / inner_product(expected, expected))


# A forward difference on the others, whose loss is curved most, is off by a few parts in 1000.
FORWARD = {"central": False}


@pytest.mark.parametrize(
    ("kind", "rule", "options"),
    [(kind, "slow sgd", FORWARD) for kind in ("dense", "batch-norm", "residual-conv")]
    + [(kind, rule, {}) for kind in SINGLE for rule in ("slow sgd", "sgd")],
)
def test_finite_difference_in_single_precision(
    kind: str, rule: str, options: dict[str, Any]
) -> None:
    setting = Setting(kind, rule)
    exact, estimate = (
        setting.lookahead(objective)
        for objective in (WarpGrad("exact"), WarpGrad("finite_difference", **options))
    )
    assert exact.phi_gradient[0].dtype == tf.float32
    assert relative_error(estimate.phi_gradient, exact.phi_gradient) < 1e-3
    np.testing.assert_allclose(estimate.meta_loss, exact.meta_loss, rtol=1e-6)


@double
@pytest.mark.parametrize("kind", SMOOTH)
@pytest.mark.parametrize(("central", "order"), [(False, 1), (True, 2)])
def test_finite_difference_converges_at_its_order(kind: str, central: bool, order: int) -> None:
    setting = Setting(kind, "momentum")
    exact = setting.lookahead(WarpGrad("exact")).phi_gradient
    errors = [
        relative_error(
            setting.lookahead(
                WarpGrad("finite_difference", central=central, relative_step=step)
            ).phi_gradient,
            exact,
        )
        for step in (1e-3, 5e-4)
    ]
    np.testing.assert_allclose(errors[0] / errors[1], 2.0**order, rtol=0.05)


@double
@pytest.mark.parametrize("kind", SMOOTH)
def test_the_central_difference_is_closer(kind: str) -> None:
    setting = Setting(kind, "sgd")
    exact = setting.lookahead(WarpGrad("exact")).phi_gradient
    forward, central = (
        relative_error(
            setting.lookahead(
                WarpGrad("finite_difference", central=c, relative_step=1e-3)
            ).phi_gradient,
            exact,
        )
        for c in (False, True)
    )
    assert central < 0.1 * forward


@double
@pytest.mark.parametrize("mode", ["exact", "finite_difference", "none"])
def test_where_the_meta_loss_is_flat_only_zeros_come_back(mode: str) -> None:
    # With all targets met, v = 0: the finite difference has no direction to step in.
    problem = scalar_problem(SGD(0.1), 0.5, 2.0)
    x = tf.constant([[1.0], [-2.0]], tf.float64)
    look = WarpGrad(mode).lookahead(
        problem.adaptation,
        *problem.start(),
        batch_of((x, x), (x, x)),
    )
    np.testing.assert_array_equal(look.phi_gradient[0], [[0.0]])


@double
def test_gradients_of_an_embedding_are_dense() -> None:
    look = Setting("embedding", "momentum").lookahead(WarpGrad())
    assert all(isinstance(g, tf.Tensor) for g in (*look.phi_gradient, *look.step.gradients))


def test_an_objective_that_replays_steps_has_no_term_without_one() -> None:
    class Replaying(Objective):
        pass

    with pytest.raises(NotImplementedError, match="Replaying replays inner steps"):
        Replaying().stored(None, None, None, None)


def test_objectives_survive_json() -> None:
    made = {"WarpGrad": WarpGrad("finite_difference", central=True, relative_step=0.01)}
    for name in objectives.__all__:
        cls = getattr(objectives, name)
        if not issubclass(cls, Objective) or cls is Objective:
            continue
        for objective in (cls(), made.get(name, cls())):
            stored = json.loads(json.dumps(keras.saving.serialize_keras_object(objective)))
            copy = keras.saving.deserialize_keras_object(stored)
            assert type(copy) is cls and copy.get_config() == objective.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"second_order": "second"}, "second_order.*'exact'.*got 'second'"),
        ({"second_order": None}, "second_order.*got None"),
        ({"relative_step": 0.0}, "relative_step.*got 0.0"),
        ({"relative_step": -1e-3}, "relative_step.*got -0.001"),
        ({"relative_step": float("nan")}, "relative_step.*got nan"),
        ({"relative_step": float("inf")}, "relative_step.*got inf"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WarpGrad(**arguments)


def test_an_objective_of_ones_own_must_have_a_lookahead() -> None:
    class Nothing(Objective):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must implement lookahead"):
        Nothing().lookahead(None, None, None, None)


def test_only_the_approximate_objective_does_without_the_inner_step() -> None:
    assert [WarpGrad(m).replays_inner_step for m in ("exact", "finite_difference", "none")] == [
        True,
        True,
        False,
    ]
    assert Objective().replays_inner_step
