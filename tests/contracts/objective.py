"""What every objective for warp parameters must satisfy, on a small inner problem."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from contracts.learners import Problem, batch_of
from contracts.numerics import Arrays, NumpySGD, assert_close, double_precision

from warptf import objectives
from warptf.adaptation import TaskAdaptation, TaskBatches
from warptf.experience import Experience, Learned
from warptf.initializations import MAML, Fixed
from warptf.inner_optimizers import LearnedSGD
from warptf.needs import Need
from warptf.objectives import Lookahead, Objective, StreamStep, TaskGradients

Factory = Callable[[], Objective]

# Objectives worth checking in several configurations; each is also made without arguments.
EXAMPLES: dict[str, dict[str, Factory]] = {
    "WarpGrad": {
        "none": lambda: objectives.WarpGrad("none"),
        "central": lambda: objectives.WarpGrad("finite_difference"),
        "forward": lambda: objectives.WarpGrad("finite_difference", central=False),
    },
}
ALPHA, MU, STEPS = 0.2, 0.5, 3
STEP_BY_STEP = {Need.INNER_LOOP, Need.STORED_STEPS}


def objective_examples() -> dict[str, Factory]:
    """Every objective of the library, by discovery, in each of its configurations."""
    found: dict[str, Factory] = {}
    for name in objectives.__all__:
        cls = getattr(objectives, name)
        if inspect.isclass(cls) and issubclass(cls, Objective) and cls is not Objective:
            found[f"{name}-default"] = cls
            found |= {f"{name}-{case}": make for case, make in EXAMPLES.get(name, {}).items()}
    return found


def check_objective(factory: Factory) -> None:
    """Checks all of the properties below that hold for what the objective needs."""
    check_configuration(factory)
    needs = set(factory().needs)
    with double_precision():
        if needs & STEP_BY_STEP:
            check_takes_the_inner_step(factory)
            check_compiled(factory)
        if needs & STEP_BY_STEP and not factory().replays_inner_step:
            check_stored(factory)
        if Need.STREAM in needs:
            check_stream(factory)
        if Need.WHOLE_ADAPTATION in needs:
            check_whole_adaptation(factory)


def check_configuration(factory: Factory) -> None:
    """The configuration survives JSON, and with it what the objective needs."""
    objective = factory()
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(objective)))
    copy = keras.saving.deserialize_keras_object(stored)
    assert type(copy) is type(objective) and copy.get_config() == objective.get_config()
    assert list(copy.needs) == list(objective.needs)
    assert objective.needs and all(isinstance(need, Need) for need in objective.needs)
    assert set(objective.differentiates_gradient_by) <= {"theta", "phi"}


def problem() -> Problem:
    """A learner whose inner rule has learned rates, at which nothing is special."""
    return Problem("dense", LearnedSGD(ALPHA, MU))


def looked(objective: Objective, given: Problem) -> Lookahead:
    """The objective's term at the start of adaptation."""
    start = given.start(hyper=given.optimizer.hyper_values())
    batch = batch_of(given.batch(0), given.batch(1))
    return objective.lookahead(given.adaptation, *start, batch)


def adapted_by_hand(given: Problem, batches: Any) -> Arrays:
    """Where plain Keras' gradients lead."""
    rule = NumpySGD(ALPHA, MU)
    theta, state = given.theta, rule.init(given.theta)
    for batch in batches:
        gradients = given.plain.gradients(theta, given.phi, batch)[1]
        theta, state = rule.update(theta, gradients, state)
    return theta


def same_kind(gradients: Any, values: Any) -> None:
    """Gradients are finite and have shapes and types of what they are for."""
    assert [(g.shape, g.dtype.name) for g in gradients] == [
        (np.shape(v), np.asarray(v).dtype.name) for v in values
    ]
    assert all(np.all(np.isfinite(g)) for g in gradients)


def check_takes_the_inner_step(factory: Factory) -> None:
    """The step is the inner optimizer's own, the term fits, repeats itself and assigns nothing."""
    given = problem()
    weights = [np.array(w) for w in (*given.model.weights, *given.optimizer.weights)]
    once, again = looked(factory(), given), looked(factory(), given)
    after = adapted_by_hand(given, [given.batch(0)])
    assert once.step is not None
    # Learned rates are held in single precision.
    assert_close(once.step.after.theta, after, 1e-6)
    assert once.meta_loss.shape == () and np.isfinite(once.meta_loss)
    same_kind(once.phi_gradient, given.phi)
    same_kind(once.hyper_gradient, [h.numpy() for h in given.optimizer.hyper_values()])
    assert any(np.any(g) for g in once.phi_gradient)
    for a, b in zip(once.phi_gradient, again.phi_gradient, strict=True):
        np.testing.assert_array_equal(a, b)
    now = [np.array(w) for w in (*given.model.weights, *given.optimizer.weights)]
    for before, after in zip(weights, now, strict=True):
        np.testing.assert_array_equal(before, after)


def check_compiled(factory: Factory) -> None:
    """A graph computes the same."""
    given = problem()
    eager = looked(factory(), given)
    graph = tf.function(lambda: looked(factory(), given).phi_gradient, autograph=False)
    assert_close(graph(), eager.phi_gradient, 1e-6)


def check_stored(factory: Factory) -> None:
    """A stored next step gives the term that looking ahead gives."""
    given = problem()
    look, start = looked(factory(), given), given.start()
    assert look.step is not None
    batch = batch_of(given.batch(1)).task
    stored = factory().stored(given.adaptation, look.step.after, start.shared, batch)
    assert_close(stored.phi_gradient, look.phi_gradient, 1e-10)
    np.testing.assert_allclose(stored.meta_loss, look.meta_loss, rtol=1e-12)


class Examples(Experience):
    """Labelled examples, whose gradients are those of plain Keras."""

    def __init__(self, given: Problem) -> None:
        self.given = given

    def record(self, learner: Any, theta: Any, phi: Any, data: Any, seed: Any, part: str) -> Any:
        return data[part]

    def learn(self, learner: Any, theta: Any, phi: Any, record: Any, seed: Any) -> Learned:
        values = [[np.asarray(v) for v in part] for part in (theta, phi)]
        loss, *gradients = self.given.plain.gradients(*values, record)
        of_theta, of_phi = ([tf.constant(g) for g in part] for part in gradients)
        return Learned(tf.constant(loss), of_theta, of_phi, {})


def check_stream(factory: Factory) -> None:
    """The gradient fits phi, and at a rate of zero is that of the meta loss where theta stands."""
    given = problem()
    experience = Examples(given)
    data = {"support": given.batch(0), "query": given.batch(1)}
    theta, phi = ([tf.constant(v) for v in part] for part in (given.theta, given.phi))
    learned = experience.learn(None, theta, phi, data["support"], None)
    step = StreamStep(
        experience,
        given.learner,
        data,
        tf.constant([0, 0]),
        data["support"],
        learned,
        theta,
        theta,
        phi,
        0.0,
    )
    gradient = factory().stream_gradient(step)
    same_kind(gradient, given.phi)
    expected = given.plain.gradients(given.theta, given.phi, data["query"])[2]
    assert_close(gradient, expected, 1e-10)


def check_whole_adaptation(factory: Factory) -> None:
    """Adaptation comes back whole, gradients fit, and theta_0's is the initialisation's own."""
    given = problem()
    support = [given.batch(i) for i in range(STEPS)]
    stacked = tuple(tf.stack(part) for part in zip(*support, strict=True))
    query = tuple(map(tf.constant, given.batch(9)))
    start = given.start(hyper=given.optimizer.hyper_values())
    task = TaskAdaptation(
        given.adaptation,
        start.shared,
        tf.constant([1, 2]),
        None,
        TaskBatches(stacked, query, True),
        STEPS,
    )
    learned: TaskGradients = factory().learn(task, Fixed())
    assert learned.theta is None
    assert_close(learned.adapted.final.theta, adapted_by_hand(given, support), 1e-6)
    same_kind(learned.phi, given.phi)
    same_kind(learned.hyper, [h.numpy() for h in given.optimizer.hyper_values()])
    jointly = factory().learn(task, MAML())
    assert_close(jointly.phi, learned.phi, 1e-10)
    assert_close(jointly.theta, MAML().learn(task).gradient, 1e-10)
