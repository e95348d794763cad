"""Exact second derivatives of a layer, through the library, against central differences."""

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from contracts.keras_row import EXACT, FLAT, REFUSED, Row
from contracts.learners import batch_of, parameters_at
from contracts.numerics import double_precision, inner_product, single_precision

import warptf
from warptf.adaptation import (
    InnerProblem,
    InnerState,
    InnerStep,
    TaskAdaptation,
    TaskBatches,
    dense_gradient,
    plain,
)
from warptf.initializations import MAML
from warptf.inner_optimizers import SGD
from warptf.meta_learners.derivative_check import check_derivatives
from warptf.objectives import WarpGrad
from warptf.partition import FunctionalLearner

BATCH = 4


class Offset(warptf.TaskLayer):
    """Adds task parameters, so that a gradient is taken through the layer that follows."""

    def build(self, input_shape: Any) -> None:
        self.offset = self.add_weight(shape=tuple(input_shape[1:]), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.offset


class Scale(warptf.WarpLayer):
    """Multiplies by warp parameters, likewise."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=tuple(input_shape[1:]), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


class Probe(keras.Model):
    """A layer after task and warp parameters, and a number for each example of what it returns."""

    def __init__(self, row: Row) -> None:
        super().__init__(name="probe")
        self.below, self.warp = Offset(name="below"), Scale(name="warp")
        self.row = row
        with self.precision():
            self.layer = row.make()

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """What the layer computes in."""
        return single_precision() if self.row.single else contextlib.nullcontext()

    def call(self, inputs: Any) -> Any:
        x = self.warp(self.below(inputs))
        with self.precision():
            outputs = tf.nest.flatten(self.row.call(self.layer, x))
        outputs = [output for output in outputs if output.dtype.is_floating]
        rng, total = np.random.default_rng(5), tf.zeros([], tf.float64)
        for output in outputs:
            output = tf.cast(output, tf.float64)
            weights = rng.normal(size=output.shape[1:])
            total += tf.reduce_sum(weights * (output + output**2)) / len(outputs)
        return total


def _as_it_is(y: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """The loss of a model that returns its loss."""
    return prediction


class Setting:
    """A layer in a learner that takes one inner step, and its loss after it.

    Args:
        row: the layer.
    """

    def __init__(self, row: Row) -> None:
        keras.utils.set_random_seed(0)
        rng = np.random.default_rng(1)
        draw = (lambda s: rng.uniform(0.2, 0.8, s)) if row.unit else (lambda s: rng.normal(size=s))
        self.x = tf.constant(draw((BATCH, *row.shape)))
        model = Probe(row)
        model(self.x)
        for variable in model.trainable_variables:
            variable.assign(variable + 0.02 * rng.normal(size=variable.shape))
        learner = FunctionalLearner(model)
        self.problem = InnerProblem(learner, SGD(row.rate), _as_it_is)
        self.theta, self.phi = learner.initial_theta(), learner.warp_values()
        self.batch = (self.x, tf.zeros([BATCH]))
        self.seed = tf.constant([1, 2])

    def start(self, theta: Any) -> InnerState:
        return self.problem.start(parameters_at(theta, self.phi), self.seed).state

    def step(self, theta: Any, phi: Any) -> InnerStep:
        """One step of gradient descent."""
        start = self.problem.start(parameters_at(theta, phi), self.seed)
        return plain(self.problem, *start, batch_of(self.batch))

    def stepped_loss(self, theta: Any, phi: Any) -> float:
        """The meta loss after one step of gradient descent, from first derivatives alone."""
        after = self.step(theta, phi).after
        return float(self.problem.meta_loss(after.theta, phi, after.state, self.batch).loss)

    def exact(self) -> tuple[Any, Any]:
        """MAML's gradient in theta_0 and exact WarpGrad's in phi."""

        shared = parameters_at(self.theta, self.phi)
        batches = TaskBatches(self.batch, self.batch)
        task = TaskAdaptation(self.problem, shared, self.seed, self.batch, batches, 1)
        maml = MAML().learn(task).gradient
        given = *task.start(), batch_of(self.batch, self.batch)
        return maml, WarpGrad().lookahead(self.problem, *given).phi_gradient

    def first_order(self) -> tuple[Any, Any]:
        """What is left of the two without second derivatives."""
        after = self.step(self.theta, self.phi).after
        given = [list(after.theta), list(self.phi)]
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = self.problem.meta_loss(*given, after.state, self.batch).loss
        return dense_gradient(tape, loss, given)

    def errors(self, step: float) -> tuple[float, float]:
        """How far the exact derivative along a direction is from a central difference.

        Returns:
            The relative error, and that which leaving the second derivatives out would make.
        """
        rng = np.random.default_rng(3)
        u, v = ([rng.normal(size=t.shape) for t in part] for part in (self.theta, self.phi))
        ahead, behind = (
            self.stepped_loss(
                [t + s * step * d for t, d in zip(self.theta, u, strict=True)],
                [p + s * step * d for p, d in zip(self.phi, v, strict=True)],
            )
            for s in (1.0, -1.0)
        )
        expected = (ahead - behind) / (2 * step)
        exact, first = (
            inner_product(theta, u) + inner_product(phi, v)
            for theta, phi in (self.exact(), self.first_order())
        )
        size = abs(expected) + abs(first)
        return abs(exact - expected) / size, abs(first - expected) / size

    def check(self) -> None:
        """Checks the layer as `fit` does."""
        parts = {"objective": WarpGrad(), "initialization": MAML()}
        support = tf.nest.map_structure(lambda t: t[tf.newaxis], self.batch)
        check_derivatives(self.problem, parts, support, False)

    def depends(self) -> bool:
        """Whether the loss has a derivative, or is flat."""
        values = [self.theta, self.phi]
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = self.problem.loss(*values, self.start(self.theta).state, self.batch).loss
        return any(np.any(g) for part in dense_gradient(tape, loss, values) for g in part)


def outcome_of(row: Row) -> str:
    """What becomes of a layer's second derivatives; fails where they are wrong in silence.

    Args:
        row: the layer.
    """
    # Of float32, a difference of single precision's rounding has to be many times as wide.
    step, tolerance = (1e-3, 5e-3) if row.single else (1e-5, 1e-6)
    with double_precision():
        setting = Setting(row)
        try:
            setting.check()
        except ValueError as error:
            name = setting.problem.learner.model.layer.name
            assert "model 'probe'" in str(error) and f"layer '{name}" in str(error), error
            return REFUSED
        if not setting.depends():
            return FLAT
        error, without = setting.errors(row.step or step)
    assert error < tolerance, f"off by {error:.1e}"
    assert without > 10 * tolerance, "second derivatives are too small to be seen"
    return EXACT
