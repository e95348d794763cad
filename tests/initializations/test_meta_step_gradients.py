"""What one meta-step moves, against means over tasks and steps computed by hand."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.learners import Problem, squared_error
from contracts.numerics import (
    Arrays,
    NumpySGD,
    assert_close,
    difference_gradient,
    double_precision,
    leap_gradient,
)

import warptf
from warptf.initializations import MAML, Fixed, Leap, MultiTask, Reptile
from warptf.inner_optimizers import SGD, InnerOptimizer, LearnedSGD
from warptf.objectives import WarpGrad
from warptf.tasks import Task

TASKS, STEPS, BATCH = 2, 3, 4
ALPHA, MU = 0.05, 0.5
W, S = 0.7, -1.3


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    with double_precision():
        yield


class Point(NamedTuple):
    """One step of one task: w_k, the momentum before it, and its data."""

    w: float
    velocity: float
    batch: Any
    meta_batch: Any


# The learner x -> s w x with squared errors: w is theta, s is phi.


def loss(w: float, s: float, batch: Any) -> float:
    x, y = batch
    return np.mean((s * w * x - y) ** 2)


def slope(w: float, s: float, batch: Any) -> float:
    """The derivative in w."""
    x, y = batch
    return 2 * s * np.mean((s * w * x - y) * x)


def step(point: Point, s: float, alpha: float = ALPHA, mu: float = MU) -> tuple[float, float]:
    velocity = mu * point.velocity - alpha * slope(point.w, s, point.batch)
    return point.w + velocity, velocity


def warp_gradient(point: Point, s: float, mode: str, collected_at: float | None = None) -> float:
    """The derivative in s of Eq. 7 or Eq. 8; a stored step of Eq. 8 was taken with another s."""
    stepped = step(point, s if collected_at is None else collected_at)[0]
    x, y = point.meta_batch
    direct = 2 * stepped * np.mean((s * stepped * x - y) * x)
    if mode == "none":
        return direct
    x, y = point.batch
    mixed = -ALPHA * 2 * np.mean((2 * s * point.w * x - y) * x)
    return direct + slope(stepped, s, point.meta_batch) * mixed


def collect(support: Any, query: Any, task: int, steps: int = STEPS) -> list[Point]:
    """The path of one task, momentum and data of each step with it."""
    points, w, velocity = [], W, 0.0
    for k in range(steps + 1):
        last = min(k, steps - 1)
        batch, meta_batch = (tuple(a[task, last] for a in part) for part in (support, query))
        points.append(Point(w, velocity, batch, meta_batch))
        w, velocity = step(points[-1], S)
    return points


def initialization_gradient(name: str, path: list[Point]) -> float:
    """The derivative of C in w_0, from a path w_0 .. w_K."""
    final, last = path[-1], path[-2]
    at_end = slope(final.w, S, last.meta_batch)
    if name == "first-order-maml":
        return at_end
    if name == "maml":
        # The derivatives of w_k and of the momentum in w_0, step by step.
        dw, dm = 1.0, 0.0
        for point in path[:-1]:
            dm = MU * dm - ALPHA * 2 * S**2 * np.mean(point.batch[0] ** 2) * dw
            dw += dm
        return at_end * dw
    if name == "reptile":
        return path[0].w - final.w
    if name == "multi-task":
        return slope(W, S, path[0].batch)
    if name == "leap":
        batches = [p.batch for p in path[:-1]] + [last.batch]
        values = [
            (p.w, loss(p.w, S, b), slope(p.w, S, b)) for p, b in zip(path, batches, strict=True)
        ]
        points, losses, slopes = zip(*values, strict=True)
        as_lists = ([[np.array(v)] for v in part] for part in (points, slopes))
        points, slopes = as_lists
        return float(leap_gradient(points, losses, slopes, True, True, True)[0])
    return 0.0


INITIALIZATIONS = {
    "fixed": Fixed(),
    "maml": MAML(),
    "first-order-maml": MAML(first_order=True),
    "reptile": Reptile(),
    "leap": Leap(),
    "multi-task": MultiTask(),
}


def data(seed: int, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=(2, TASKS, steps, BATCH, 1)))


def scalar_model() -> keras.Model:
    problem = Problem("scalar", SGD(ALPHA))
    problem.learner.partition.task_variables[0].assign([[W]])
    problem.learner.partition.warp_variables[0].assign([[S]])
    return problem.model


def meta_step(
    cls: Any,
    task: Task,
    model: keras.Model,
    inner_optimizer: InnerOptimizer | None = None,
    steps: int = STEPS,
    rate: float = 1.0,
    compile_arguments: Any = None,
    **kwargs: Any,
) -> tuple[Arrays, Arrays]:
    """Runs one meta-step and returns theta_0 and phi after it."""
    learner = cls(model, inner_optimizer or SGD(ALPHA, MU), steps, **kwargs)
    arguments = {"optimizer": keras.optimizers.SGD(rate), **(compile_arguments or {})}
    learner.compile(loss=squared_error, run_eagerly=True, **arguments)
    learner.fit(tf.data.Dataset.from_tensors(task), verbose=0)
    assert int(learner.meta_step) == 1
    parts = learner.partition
    return [np.array(v) for v in parts.task_variables], [np.array(v) for v in parts.warp_variables]


def scalars(moved: tuple[Arrays, Arrays]) -> tuple[float, float]:
    (w,), (s,) = moved
    return w.item(), s.item()


ONE_UPDATE = [
    (warptf.OnlineMetaLearner, {}),
    (warptf.OfflineMetaLearner, {"replay_batch_size": TASKS * STEPS}),
]


@pytest.mark.parametrize(("cls", "arguments"), ONE_UPDATE)
@pytest.mark.parametrize("name", list(INITIALIZATIONS))
@pytest.mark.parametrize("mode", ["exact", "none"])
def test_a_meta_step_moves_by_the_mean_gradients(
    cls: Any, arguments: Any, name: str, mode: str
) -> None:
    support, query = data(0), data(1)
    paths = [collect(support, query, t) for t in range(TASKS)]
    phi = np.mean([[warp_gradient(p, S, mode) for p in path[:-1]] for path in paths])
    theta = np.mean([initialization_gradient(name, path) for path in paths])
    moved = meta_step(
        cls,
        Task(support, query),
        scalar_model(),
        objective=WarpGrad(mode),
        initialization=INITIALIZATIONS[name],
        initialization_weight=0.25,
        **arguments,
    )
    np.testing.assert_allclose(scalars(moved), [W - 0.25 * theta, S - phi], rtol=1e-9)


def test_warp_maml_keeps_the_two_gradients_apart() -> None:
    # phi follows the warp objective alone, theta_0 the meta loss through all steps alone.
    support, query = data(2), data(3)
    paths = [collect(support, query, t) for t in range(TASKS)]
    phi = np.mean([[warp_gradient(p, S, "exact") for p in path[:-1]] for path in paths])
    theta = np.mean([initialization_gradient("maml", path) for path in paths])
    moved = meta_step(warptf.WarpMAML, Task(support, query), scalar_model())
    np.testing.assert_allclose(scalars(moved), [W - theta, S - phi], rtol=1e-9)
    moved = meta_step(warptf.WarpMAML, Task(support, query), scalar_model(), objective=None)
    np.testing.assert_allclose(scalars(moved), [W - theta, S], rtol=1e-9)


def test_sets_without_a_step_axis_serve_every_step() -> None:
    support, query = data(4), data(5)
    whole = [tuple(a[:, 0] for a in part) for part in (support, query)]
    repeated = [
        tuple(np.repeat(a[:, :1], STEPS, axis=1) for a in part) for part in (support, query)
    ]
    paths = [collect(*repeated, t) for t in range(TASKS)]
    phi = np.mean([[warp_gradient(p, S, "exact") for p in path[:-1]] for path in paths])
    theta = np.mean([initialization_gradient("leap", path) for path in paths])
    for cls, arguments in ONE_UPDATE:
        moved = meta_step(cls, Task(*whole), scalar_model(), initialization=Leap(), **arguments)
        np.testing.assert_allclose(scalars(moved), [W - theta, S - phi], rtol=1e-9)


def test_each_part_has_its_own_optimizer() -> None:
    support, query = data(6), data(7)
    points = [p for t in range(TASKS) for p in collect(support, query, t)[:-1]]
    phi = np.mean([warp_gradient(p, S, "exact") for p in points])
    theta = np.mean(
        [initialization_gradient("reptile", collect(support, query, t)) for t in range(TASKS)]
    )
    # At the stepped point, w' = w + mu m - alpha g.
    slopes = [slope(step(p, S)[0], S, p.meta_batch) for p in points]
    by_rate = np.mean([-v * slope(p.w, S, p.batch) for v, p in zip(slopes, points, strict=True)])
    by_momentum = np.mean([v * p.velocity for v, p in zip(slopes, points, strict=True)])
    for cls, arguments in ONE_UPDATE:
        learned = LearnedSGD(ALPHA, MU)
        moved = meta_step(
            cls,
            Task(support, query),
            scalar_model(),
            learned,
            initialization=Reptile(),
            compile_arguments={
                "initialization_optimizer": keras.optimizers.SGD(0.5),
                "rate_optimizer": keras.optimizers.SGD(0.25),
            },
            **arguments,
        )
        # Keras creates the rates by way of single precision.
        np.testing.assert_allclose(scalars(moved), [W - 0.5 * theta, S - phi], rtol=1e-6)
        np.testing.assert_allclose(
            [np.array(v) for v in learned.trainable_variables],
            [ALPHA - 0.25 * by_rate, MU - 0.25 * by_momentum],
            rtol=1e-6,
        )


@pytest.mark.parametrize("mode", ["exact", "none"])
def test_replayed_batches_are_those_of_the_replay(mode: str) -> None:
    support, query, inner, meta = (data(seed) for seed in range(8, 12))
    paths = [collect(support, query, t) for t in range(TASKS)]
    terms = []
    for t, k in itertools.product(range(TASKS), range(STEPS)):
        meta_batch = tuple(a[t, k] for a in meta)
        # With Eq. 8 the stored step is the one that was taken on the support set.
        batch = paths[t][k].batch if mode == "none" else tuple(a[t, k] for a in inner)
        point = paths[t][k]._replace(batch=batch, meta_batch=meta_batch)
        terms.append(warp_gradient(point, S, mode))
    moved = meta_step(
        warptf.OfflineMetaLearner,
        Task(support, query, (inner, meta)),
        scalar_model(),
        objective=WarpGrad(mode),
        replay_batch_size=TASKS * STEPS,
    )
    np.testing.assert_allclose(scalars(moved), [W, S - np.mean(terms)], rtol=1e-9)


@pytest.mark.parametrize("mode", ["exact", "none"])
@pytest.mark.parametrize(("size", "epochs"), [(1, 1), (2, 1), (1, 2)])
def test_replay_visits_every_stored_step_once_an_epoch(mode: str, size: int, epochs: int) -> None:
    # All orders of the four stored steps are tried by hand: just one leads where replay led.
    steps, rate = 2, 0.0625
    support, query = data(12, steps), data(13, steps)
    points = [p for t in range(TASKS) for p in collect(support, query, t, steps)[:-1]]
    collected_at = S if mode == "none" else None
    ends: dict[Any, float] = {}
    orders = list(itertools.permutations(range(len(points))))
    for epoch_orders in itertools.product(orders, repeat=epochs):
        s, order = S, [i for one in epoch_orders for i in one]
        for start in range(0, len(order), size):
            chosen = [points[i] for i in order[start : start + size]]
            s -= rate * np.mean([warp_gradient(p, s, mode, collected_at) for p in chosen])
        key = tuple(
            frozenset(order[i : i + size]) if size > 1 else order[i]
            for i in range(0, len(order), size)
        )
        ends[key] = s
    _, s = scalars(
        meta_step(
            warptf.OfflineMetaLearner,
            Task(support, query),
            scalar_model(),
            steps=steps,
            rate=rate,
            objective=WarpGrad(mode),
            replay_batch_size=size,
            replay_epochs=epochs,
        )
    )
    matches = [key for key, end in ends.items() if abs(end - s) < 1e-12]
    assert len(matches) == 1
    if epochs == 2:
        assert matches[0][:4] != matches[0][4:]


def test_replay_takes_another_order_each_time() -> None:
    support, query = data(14), data(15)
    moved = {
        scalars(
            meta_step(
                warptf.OfflineMetaLearner, Task(support, query), scalar_model(), rate=0.1, seed=seed
            )
        )[1]
        for seed in (0, 1, 2)
    }
    assert len(moved) == 3


class ContextSetting:
    """A learner with context variables, adapted together with theta, in NumPy."""

    def __init__(self) -> None:
        self.problem = Problem("context", SGD(0.1, 0.5))
        self.support, self.query = [self.problem.batch(i) for i in range(2)], self.problem.batch(5)
        self.count = len(self.problem.learner.partition.task_variables)
        self.context = [np.zeros_like(t) for t in self.problem.theta[self.count :]]

    def path(self, theta: Arrays) -> list[Arrays]:
        """(theta_k, c_k) along the steps, c_0 = 0."""
        rule, values = NumpySGD(0.1, 0.5), [*theta, *self.context]
        state, path = rule.init(values), [values]
        for batch in self.support:
            gradients = self.problem.plain.gradients(values, self.problem.phi, batch)[1]
            values, state = rule.update(values, gradients, state)
            path.append(values)
        return path

    def expected(self, name: str) -> Arrays:
        theta, n = self.problem.theta[: self.count], self.count
        plain, phi, path = self.problem.plain, self.problem.phi, self.path(theta)
        if name == "maml":
            return difference_gradient(
                lambda t: plain.loss(self.path(t)[-1], phi, self.query), theta
            )
        if name == "first-order-maml":
            return plain.gradients(path[-1], phi, self.query)[1][:n]
        if name == "reptile":
            return [a - b for a, b in zip(theta, path[-1][:n], strict=True)]
        batches = [*self.support, self.support[-1]]
        seen = [plain.gradients(v, phi, b) for v, b in zip(path, batches, strict=True)]
        if name == "multi-task":
            return seen[0][1][:n]
        losses, slopes = [s[0] for s in seen], [s[1][:n] for s in seen]
        return leap_gradient([v[:n] for v in path], losses, slopes, True, True, True)


@pytest.mark.parametrize(("cls", "arguments"), [ONE_UPDATE[0], (ONE_UPDATE[1][0], {})])
@pytest.mark.parametrize("name", [n for n in INITIALIZATIONS if n != "fixed"])
def test_context_is_adapted_but_no_part_of_the_initialization(
    cls: Any, arguments: Any, name: str
) -> None:
    setting = ContextSetting()
    model = setting.problem.model
    expected = setting.expected(name)
    context = setting.problem.learner.partition.context_variables
    for variable in context:
        variable.assign(tf.fill(variable.shape, tf.constant(3.0, tf.float64)))
    support = tuple(np.stack(part)[np.newaxis] for part in zip(*setting.support, strict=True))
    query = tuple(part[np.newaxis] for part in setting.query)
    theta, _ = meta_step(
        cls,
        Task(support, query),
        model,
        SGD(0.1, 0.5),
        steps=2,
        initialization=INITIALIZATIONS[name],
        **arguments,
    )
    start = setting.problem.theta[: setting.count]
    assert_close([a - b for a, b in zip(start, theta, strict=True)], expected, 1e-6)
    for variable in context:
        np.testing.assert_array_equal(variable, np.full(variable.shape, 3.0))
