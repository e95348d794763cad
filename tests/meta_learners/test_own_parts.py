"""An objective, initialisations and an inner optimizer of a user's own, in every meta-learner."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.initialization import check_initialization
from contracts.inner_optimizer import check_inner_optimizer
from contracts.objective import check_objective
from meta_learners.problems import (
    ScalarLearner,
    batch_of,
    classification_tasks,
    cross_entropy,
    network,
    one_batch,
    scalar_tasks,
)

import warptf
from warptf.adaptation import TaskAdaptation, adapt, dense_gradient, plain
from warptf.initializations import Initialization, Reptile
from warptf.initializations.initialization import InitializationStep
from warptf.inner_optimizers import SGD, InnerOptimizer
from warptf.inner_optimizers.inner_optimizer import InnerUpdate
from warptf.needs import Need
from warptf.objectives import Lookahead, Objective, WarpGrad
from warptf.tasks import Task

ALPHA, BETA, STEPS, TASKS = 0.1, 0.2, 2, 2
START = ScalarLearner(theta=0.7, phi=1.3)


class WhereItStands(Objective):
    """The meta loss where theta stands, before the step."""

    needs = (Need.INNER_LOOP, Need.STORED_STEPS, Need.STREAM)

    def lookahead(self, problem, state, shared, batch):
        with tf.GradientTape() as tape:
            tape.watch(shared.phi)
            output = problem.meta_loss(state.moving, shared.phi, state.state, batch.meta)
        gradient = dense_gradient(tape, output.loss, shared.phi)
        rates = [tf.zeros_like(h) for h in shared.hyper]
        return Lookahead(plain(problem, state, shared, batch), output.loss, gradient, rates)

    def stream_gradient(self, step):
        return step.meta().phi


class OfAStream(WhereItStands):
    """The same, for streams alone."""

    needs = (Need.STREAM,)


class Halfway(Initialization):
    """Half of the way back from where adaptation ends."""

    def end(self, adapted, carry):
        start, final = adapted.start.state.theta, adapted.final.theta
        return [0.5 * (a - b) for a, b in zip(start, final, strict=True)]


class MeanGradient(Initialization):
    """The mean of the task gradients along adaptation."""

    def begin(self, start):
        return [tf.zeros_like(t) for t in start.state.theta]

    def observe(self, k, step, carry):
        return [a + g for a, g in zip(carry, step.theta_gradients, strict=True)]

    def end(self, adapted, carry):
        return [total / adapted.steps for total in carry]


class TaskLossAtTheEnd(Initialization):
    """The gradient of the task loss after adaptation, through all steps."""

    needs = (Need.WHOLE_ADAPTATION,)

    def learn(self, task: TaskAdaptation) -> InitializationStep:
        theta = list(task.parameters.theta)
        with tf.GradientTape() as tape:
            tape.watch(theta)
            start = task.start(task.parameters._replace(theta=theta))
            adapted = adapt(
                task.problem, start, task.batches, task.steps, task.step, task.observers
            )
            batch = adapted.last.task
            loss = task.problem.loss_at(adapted.final, task.parameters, batch).loss
        return InitializationStep(dense_gradient(tape, loss, theta), adapted)


class FallingRate(InnerOptimizer):
    """Gradient descent with the rate alpha / (1 + k), k being its state."""

    def __init__(self, alpha: float = ALPHA, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def init(self, theta, seed=None):
        return [tf.zeros([])]

    def update(self, theta, gradients, state, hyper):
        (k,) = state
        moved = [
            t - tf.cast(self.alpha / (1.0 + k), t.dtype) * g
            for t, g in zip(theta, gradients, strict=True)
        ]
        return InnerUpdate(moved, [k + 1.0])

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


INITIALIZATIONS = {"halfway": Halfway, "mean": MeanGradient, "through": TaskLossAtTheEnd}


def test_they_keep_the_contracts() -> None:
    check_objective(WhereItStands)
    check_initialization(Halfway)
    check_inner_optimizer(FallingRate)


def path(task: Task, index: int, theta: Any, rate: Any = lambda k: ALPHA / (1 + k)) -> list[Any]:
    """theta_0 .. theta_K."""
    found = [theta]
    for k in range(STEPS):
        slope = START.theta_gradient(found[-1], START.phi, batch_of(task.support, index, k))
        found.append(found[-1] - rate(k) * slope)
    return found


def of_theta(name: str, task: Task, index: int) -> Any:
    """The initialisation's gradient from one task."""
    thetas = path(task, index, START.theta)
    batches = [batch_of(task.support, index, k) for k in range(STEPS)]
    if name == "halfway":
        return 0.5 * (thetas[0] - thetas[-1])
    if name == "mean":
        slopes = [
            START.theta_gradient(t, START.phi, b) for t, b in zip(thetas, batches, strict=False)
        ]
        return np.mean(slopes)
    ends = [path(task, index, START.theta + e)[-1] for e in (1e-4, -1e-4)]
    losses = [START.loss(end, START.phi, batches[-1]) for end in ends]
    return (losses[0] - losses[1]) / 2e-4


def expected(name: str, task: Task) -> tuple[Any, Any]:
    """theta_0 and phi after one meta-step."""
    terms = [
        START.phi_gradient(theta, START.phi, batch_of(task.query, t, k))
        for t in range(TASKS)
        for k, theta in enumerate(path(task, t, START.theta)[:-1])
    ]
    theta = np.mean([of_theta(name, task, t) for t in range(TASKS)])
    return START.theta - BETA * theta, START.phi - BETA * np.mean(terms)


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [("online", "halfway"), ("online", "through"), ("offline", "mean")],
)
def test_they_learn_as_written_out_by_hand(algorithm: str, name: str, tmp_path: Any) -> None:
    model, task = START.model(), scalar_tasks(TASKS, STEPS)
    kinds = {"online": warptf.OnlineMetaLearner, "offline": warptf.OfflineMetaLearner}
    options = {"replay_batch_size": TASKS * STEPS} if algorithm == "offline" else {}
    learner = kinds[algorithm](
        model,
        FallingRate(),
        STEPS,
        objective=WhereItStands(),
        initialization=INITIALIZATIONS[name](),
        **options,
    )
    learner.compile(keras.optimizers.SGD(BETA), "mse", run_eagerly=True)
    learner.fit(one_batch(task), verbose=0)
    found = [float(w.item()) for w in model.get_weights()]
    np.testing.assert_allclose(found, expected(name, task), rtol=1e-5)
    # What is of a user's own is named in the file, and found again by its class.
    learner.save(tmp_path / "own.keras")
    loaded = keras.models.load_model(tmp_path / "own.keras")
    parts = ("objective", "initialization", "inner_optimizer")
    assert [type(getattr(loaded, part)) for part in parts] == [
        type(getattr(learner, part)) for part in parts
    ]
    x, y = task.support[0][0, 0], task.support[1][0, 0]
    np.testing.assert_allclose(loaded.adapt(x, y)(x), learner.adapt(x, y)(x), rtol=1e-6)


def test_an_objective_learns_from_a_stream() -> None:
    model, task = START.model(), scalar_tasks(TASKS, 1)
    support, query = ((part[0][:, 0], part[1][:, 0]) for part in (task.support, task.query))
    learner = warptf.ContinualMetaLearner(model, objective=WhereItStands(), warp_update_interval=1)
    learner.compile(
        keras.optimizers.SGD(BETA),
        "mse",
        task_optimizer=keras.optimizers.SGD(ALPHA),
        run_eagerly=True,
    )
    learner.fit(one_batch(Task(support, query)), verbose=0)
    slopes = [
        START.theta_gradient(START.theta, START.phi, batch_of(support, t)) for t in range(TASKS)
    ]
    theta = START.theta - ALPHA * np.mean(slopes)
    terms = [START.phi_gradient(theta, START.phi, batch_of(query, t)) for t in range(TASKS)]
    found = [float(w.item()) for w in model.get_weights()]
    np.testing.assert_allclose(found, [theta, START.phi - BETA * np.mean(terms)], rtol=1e-5)


def test_an_inner_optimizer_fine_tunes_a_multi_headed_learner() -> None:
    learner = warptf.MultiHeadFinetuning(network(warp=False), FallingRate(), STEPS, num_tasks=TASKS)
    learner.compile(keras.optimizers.SGD(BETA), cross_entropy(), run_eagerly=True)
    task = classification_tasks(TASKS, STEPS, ids=True)
    history = learner.fit(one_batch(task), verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda m: warptf.OnlineMetaLearner(m, SGD(0.1), 2, objective=OfAStream()),
            "objective OfAStream needs a stream.*OnlineMetaLearner does not offer: "
            "use ContinualMetaLearner",
        ),
        (
            lambda m: warptf.OfflineMetaLearner(m, SGD(0.1), 2, objective=OfAStream()),
            "objective OfAStream .*OfflineMetaLearner does not offer",
        ),
        (
            lambda m: warptf.ContinualMetaLearner(m, objective=WarpGrad()),
            "objective WarpGrad .*ContinualMetaLearner does not offer: use OnlineMetaLearner or "
            "OfflineMetaLearner",
        ),
    ],
)
def test_what_is_not_offered_is_refused_when_made(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(START.model())


def test_an_initialization_that_needs_another_way_is_refused() -> None:
    class Replayed(Reptile):
        needs = (Need.STORED_STEPS,)

    with pytest.raises(ValueError, match="initialization Replayed needs .* does not offer"):
        warptf.OnlineMetaLearner(START.model(), SGD(0.1), 2, initialization=Replayed())
