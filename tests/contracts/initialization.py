"""What every initialisation must satisfy, and a small inner problem to check it on."""

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from contracts.learners import Problem
from contracts.numerics import Batch, assert_close, double_precision, inner_product

from warptf import initializations
from warptf.adaptation import Adapted, InnerStep, Start, TaskAdaptation, TaskBatches
from warptf.initializations import Initialization
from warptf.initializations.initialization import InitializationStep
from warptf.inner_optimizers import SGD

Factory = Callable[[], Initialization]

# Initialisations worth checking in several configurations; each is also made without arguments.
EXAMPLES: dict[str, dict[str, Factory]] = {
    "ImplicitMAML": {"damped": lambda: initializations.ImplicitMAML(system="damped")},
    "FirstOrderBilevelMAML": {
        "symmetric": lambda: initializations.FirstOrderBilevelMAML(symmetric=True)
    },
    "MAML": {"first-order": lambda: initializations.MAML(first_order=True)},
    "Leap": {
        "energy": lambda: initializations.Leap(length=False),
        "no-loss": lambda: initializations.Leap(include_loss=False),
        "unstabilised": lambda: initializations.Leap(stabilizer=False),
    },
}


def initialization_examples() -> dict[str, Factory]:
    """Every initialisation of the library, by discovery, in each of its configurations."""
    found: dict[str, Factory] = {}
    for name in initializations.__all__:
        cls = getattr(initializations, name)
        if not inspect.isclass(cls) or not issubclass(cls, Initialization) or cls is Initialization:
            continue
        found[f"{name}-default"] = cls
        found |= {f"{name}-{case}": make for case, make in EXAMPLES.get(name, {}).items()}
    return found


class Task:
    """An initialisation's view of one task: how to adapt to it, and its losses.

    Args:
        problem: the learner.
        support: the mini-batch of each inner step; one for every step if there is only one.
        query: the mini-batch of the meta loss.
        steps: K.
        context: how many of the problem's parameters, counted from the end, are context variables.
    """

    def __init__(
        self,
        problem: Problem,
        support: Sequence[Batch],
        query: Batch,
        steps: int,
        context: int = 0,
    ) -> None:
        self.problem, self.query, self.steps = problem, query, steps
        self.support = [support[min(k, len(support) - 1)] for k in range(steps)]
        self.context = context

    def learn(self, initialization: Initialization, theta: Any) -> InitializationStep:
        """Lets an initialisation learn from the task, starting at all of theta."""
        start = self.problem.start(theta, context=self.context)
        support = tuple(tf.stack(part) for part in zip(*self.support, strict=True))
        batches = TaskBatches(support, tuple(map(tf.constant, self.query)), True)
        return initialization.learn(
            TaskAdaptation(
                self.problem.adaptation,
                start.shared,
                tf.constant([1, 2]),
                None,
                batches,
                self.steps,
                observers=[Counter()],
            )
        )


class Counter:
    """An observer that counts the steps."""

    def begin(self, start: Start) -> tf.Tensor:
        return tf.constant(0)

    def observe(self, k: tf.Tensor, step: InnerStep, carry: tf.Tensor) -> tf.Tensor:
        return carry + 1

    def end(self, adapted: Adapted, carry: tf.Tensor) -> tf.Tensor:
        return carry


def check_initialization(factory: Factory) -> None:
    """Checks all of the properties below."""
    check_configuration(factory)
    for check in (check_gradient_fits_theta, check_compiled, check_isotropic_bowl, check_optimum):
        with double_precision():
            check(factory)
    check_gradient_fits_theta(factory)


def check_configuration(factory: Factory) -> None:
    """The configuration survives JSON; what is not learned says so."""
    initialization = factory()
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(initialization)))
    copy = keras.saving.deserialize_keras_object(stored)
    assert type(copy) is type(initialization)
    assert copy.get_config() == initialization.get_config()
    assert copy.learns == initialization.learns
    assert isinstance(initialization.differentiates_adaptation, bool)


def small_task(context: int = 0) -> Task:
    """Three steps with momentum on different mini-batches."""
    problem = Problem("dense", SGD(0.2, 0.5))
    return Task(problem, [problem.batch(i) for i in range(3)], problem.batch(9), 3, context)


def check_gradient_fits_theta(factory: Factory) -> None:
    """The gradient has theta's shapes and type and repeats itself; adaptation comes back whole."""
    task, initialization = small_task(), factory()
    weights = [np.array(w) for w in task.problem.model.weights]
    theta = task.problem.theta
    once, again = (task.learn(initialization, theta) for _ in range(2))
    for before, after in zip(weights, task.problem.model.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    state = once.adapted.final
    expected = theta
    velocity = [np.zeros_like(t) for t in theta]
    for batch in task.support:
        gradients = task.problem.plain.gradients(expected, task.problem.phi, batch)[1]
        velocity = [0.5 * m - 0.2 * g for m, g in zip(velocity, gradients, strict=True)]
        expected = [t + m for t, m in zip(expected, velocity, strict=True)]
    assert_close(state.theta, expected, 1e-5 if theta[0].dtype == np.float32 else 1e-12)
    assert int(once.adapted.observed[0]) == task.steps
    if not initialization.learns:
        assert once.gradient is None
        return
    assert [(g.shape, g.dtype.name) for g in once.gradient] == [
        (t.shape, t.dtype.name) for t in theta
    ]
    for a, b in zip(once.gradient, again.gradient, strict=True):
        assert np.all(np.isfinite(a)) and np.any(a)
        np.testing.assert_array_equal(a, b)


def check_compiled(factory: Factory) -> None:
    """A graph computes the same, with context variables, for which there is no gradient."""
    task, initialization = small_task(context=1), factory()
    theta = task.problem.theta
    eager = task.learn(initialization, theta).gradient
    graph = tf.function(lambda values: task.learn(initialization, values).gradient, autograph=False)
    compiled = graph([tf.constant(t) for t in theta])
    if initialization.learns:
        assert len(eager) == len(theta) - 1
        assert_close(compiled, eager, 1e-10)
    else:
        assert compiled is None


def bowl(start: np.ndarray) -> tuple[Task, np.ndarray]:
    """A loss that is a multiple of the squared distance to an optimum, returned too."""
    problem = Problem("linear", SGD(0.2))
    problem.theta = [start]
    optimum = np.array([[1.0, -2.0], [0.5, 0.0], [-1.0, 3.0]])
    return Task(problem, [(np.eye(3), optimum)], (np.eye(3), optimum), 4), optimum


def check_isotropic_bowl(factory: Factory) -> None:
    """Where all directions are alike, the gradient points away from the optimum."""
    start = np.array([[0.3, 1.0], [-1.0, 2.0], [0.7, 0.1]])
    task, optimum = bowl(start)
    gradient = task.learn(factory(), [start]).gradient
    if gradient is not None:
        away = start - optimum
        factor = inner_product(gradient, [away]) / inner_product([away], [away])
        assert factor > 0
        assert_close(gradient, [factor * away], 1e-6)


def check_optimum(factory: Factory) -> None:
    """At the optimum there is nothing to learn: the gradient is zero, and no NaN."""
    _, optimum = bowl(np.zeros((3, 2)))
    task, _ = bowl(optimum)
    gradient = task.learn(factory(), [optimum]).gradient
    if gradient is not None:
        np.testing.assert_allclose(gradient[0], np.zeros((3, 2)), atol=1e-9)
