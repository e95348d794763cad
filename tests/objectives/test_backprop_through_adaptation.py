"""The meta loss after adaptation, differentiated in all that tasks share."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.learners import Problem
from contracts.numerics import (
    Arrays,
    NumpySGD,
    assert_close,
    assert_gradient,
    double_precision,
)

import warptf
from warptf.initializations import MAML, Fixed, Leap, Reptile
from warptf.inner_optimizers import SGD, InnerOptimizer, LearnedSGD, MaskedSGD
from warptf.meta_learners.seeds import TRAINING, task_seed
from warptf.objectives import BackpropThroughAdaptation
from warptf.tasks import Task

ALPHA, MU, STEPS = 0.1, 0.5, 3


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    with double_precision():
        yield


class Setting:
    """Two tasks, and the mean meta loss after adaptation to them, in NumPy.

    Args:
        kind: the learner.
        rates: whether the inner rate is one per parameter rather than one for all.
    """

    def __init__(self, kind: str, rates: bool = False) -> None:
        self.rates = rates
        self.problem = Problem(kind, self.optimizer())
        self.count = len(self.problem.learner.partition.task_variables)
        self.context = [np.zeros_like(t) for t in self.problem.theta[self.count :]]
        self.supports = [[self.problem.batch(10 * t + k) for k in range(STEPS)] for t in (0, 1)]
        self.queries = [self.problem.batch(10 * t + 9) for t in (0, 1)]

    def optimizer(self) -> InnerOptimizer:
        return LearnedSGD(ALPHA, MU, "parameter") if self.rates else SGD(ALPHA, MU)

    def task(self) -> Task:
        stacked = [tuple(np.stack(part) for part in zip(*s, strict=True)) for s in self.supports]
        support = tuple(np.stack(part) for part in zip(*stacked, strict=True))
        query = tuple(np.stack(part) for part in zip(*self.queries, strict=True))
        return Task(support, query)

    def loss(self, theta: Arrays, phi: Arrays, hyper: Arrays) -> float:
        plain, losses = self.problem.plain, []
        for task, (batches, query) in enumerate(zip(self.supports, self.queries, strict=True)):
            values, state = [*theta, *self.context], None
            for batch in batches:
                gradients = plain.gradients(values, phi, batch)[1]
                values, state = self.step(values, gradients, state, hyper, task)
            losses.append(plain.loss(values, phi, query))
        return float(np.mean(losses))

    def step(self, values: Arrays, gradients: Arrays, state: Any, hyper: Arrays, task: int) -> Any:
        if not self.rates:
            rule = NumpySGD(ALPHA, MU)
            return rule.update(values, gradients, state or rule.init(values))
        half = len(hyper) // 2
        velocity = state or [np.zeros_like(v) for v in values]
        velocity = [
            mu * m - alpha * g
            for alpha, mu, m, g in zip(hyper[:half], hyper[half:], velocity, gradients, strict=True)
        ]
        return [v + m for v, m in zip(values, velocity, strict=True)], velocity

    def start(self) -> tuple[Arrays, Arrays, Arrays]:
        hyper = [h.numpy() for h in self.problem.optimizer.hyper_values()]
        return self.problem.theta[: self.count], self.problem.phi, hyper

    def moved(self, initialization: Any) -> tuple[Arrays, Arrays, Arrays]:
        """How far one meta-step at rate 1 moves theta_0, phi and the rates."""
        before = self.start()
        learner = warptf.OnlineMetaLearner(
            self.problem.model,
            self.problem.optimizer,
            STEPS,
            objective=BackpropThroughAdaptation(),
            initialization=initialization,
        )
        learner.compile(optimizer=keras.optimizers.SGD(1.0), loss=self.problem.loss)
        history = learner.fit(tf.data.Dataset.from_tensors(self.task()), verbose=0)
        self.reported = history.history["loss"][0]
        parts = learner.partition
        after = (
            parts.task_variables,
            parts.warp_variables,
            self.problem.optimizer.trainable_variables,
        )
        return tuple(
            [b - np.array(a) for b, a in zip(old, new, strict=True)]
            for old, new in zip(before, after, strict=True)
        )


class MaskedSetting(Setting):
    """The same with MT-Net's masks, as functions whose derivative is the straight-through one.

    With the noise l of a task, M(zeta) = [zeta_0 + l > 0] + s(zeta) - s(zeta_0) is the binary mask
    at the logits zeta_0 that the optimizer has, and s(zeta) = sigmoid((zeta + l) / T).
    """

    # Kernel and bias of a layer share a mask.
    owner = (0, 0, 1, 1)

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        theta, adaptation = self.problem.learner.initial_theta(), self.problem.adaptation
        seeds = [task_seed(0, TRAINING, 0, task) for task in (0, 1)]
        self.noise = [[n.numpy() for n in adaptation.start_optimizer(theta, s)] for s in seeds]
        self.logits = self.start()[2]

    def optimizer(self) -> InnerOptimizer:
        return MaskedSGD(ALPHA, initial_logit=0.2, temperature=0.7)

    def masks(self, hyper: Arrays, task: int) -> Arrays:
        triples = zip(hyper, self.logits, self.noise[task], strict=True)
        return [(z0 + n > 0) + soft(z + n) - soft(z0 + n) for z, z0, n in triples]

    def step(self, values: Arrays, gradients: Arrays, state: Any, hyper: Arrays, task: int) -> Any:
        masks = self.masks(hyper, task)
        moves = [ALPHA * masks[i] * g for i, g in zip(self.owner, gradients, strict=True)]
        return [v - move for v, move in zip(values, moves, strict=True)], None


def soft(shifted: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-shifted / 0.7))


def check(gradient: Arrays, setting: Setting, part: int, start: Any) -> None:
    """Compares the gradient of one part with central differences of the meta loss."""

    def function(values: Arrays) -> float:
        return setting.loss(*[values if i == part else list(s) for i, s in enumerate(start)])

    assert_gradient(gradient, function, start[part])


# T-Net's linear warp, ANIL's shared body and a residual warp are all `kind`s; `context` is CAVIA's.
@pytest.mark.parametrize("kind", ["dense", "batch-norm", "residual", "context"])
def test_all_shared_parameters_descend_the_meta_loss(kind: str) -> None:
    setting = Setting(kind)
    start = setting.start()
    theta, phi, _ = setting.moved(MAML())
    np.testing.assert_allclose(setting.reported, setting.loss(*start), rtol=1e-6)
    check(theta, setting, 0, start)
    check(phi, setting, 1, start)


def test_a_shared_learner_around_a_context_descends_the_meta_loss() -> None:
    setting = Setting("cavia")
    start = setting.start()
    theta, phi, _ = setting.moved(Fixed())
    assert theta == [] and len(setting.context) == 1
    np.testing.assert_allclose(setting.reported, setting.loss(*start), rtol=1e-6)
    # The map from contexts to modulations learns, though the context starts from zero.
    assert len(phi) == 6 and all(np.any(gradient) for gradient in phi)
    check(phi, setting, 1, start)


def test_masked_adaptation_descends_the_meta_loss() -> None:
    setting = MaskedSetting("dense")
    start = setting.start()
    masks = [np.concatenate(setting.masks(start[2], task)) for task in (0, 1)]
    # Some units move and some do not, not the same for both tasks.
    assert all(0 < m.sum() < m.size for m in masks) and np.any(masks[0] != masks[1])
    theta, phi, logits = setting.moved(MAML())
    np.testing.assert_allclose(setting.reported, setting.loss(*start), rtol=1e-6)
    check(theta, setting, 0, start)
    check(phi, setting, 1, start)
    check(logits, setting, 2, start)


def test_learned_rates_descend_the_meta_loss() -> None:
    setting = Setting("dense", rates=True)
    start = setting.start()
    _, phi, rates = setting.moved(MAML())
    check(phi, setting, 1, start)
    check(rates, setting, 2, start)


def test_meta_sgd_needs_no_warp_layers() -> None:
    setting = Setting("linear", rates=True)
    start = setting.start()
    theta, phi, rates = setting.moved(MAML())
    assert phi == []
    check(theta, setting, 0, start)
    check(rates, setting, 2, start)


@pytest.mark.parametrize("initialization", [Fixed(), Reptile(), MAML(first_order=True), Leap()])
def test_other_initializations_keep_their_own_gradient(initialization: Any) -> None:
    setting, alone = Setting("dense"), Setting("dense")
    start = setting.start()
    theta, phi, _ = setting.moved(initialization)
    check(phi, setting, 1, start)
    if not initialization.learns:
        assert all(not np.any(t) for t in theta)
        return
    learner = warptf.OnlineMetaLearner(
        alone.problem.model,
        alone.problem.optimizer,
        STEPS,
        objective=None,
        initialization=initialization,
    )
    learner.compile(optimizer=keras.optimizers.SGD(1.0), loss=alone.problem.loss)
    learner.fit(tf.data.Dataset.from_tensors(alone.task()), verbose=0)
    after = [np.array(v) for v in learner.partition.task_variables]
    assert_close(theta, [b - a for b, a in zip(start[0], after, strict=True)], 1e-9)


def test_the_offline_algorithm_refuses_it() -> None:
    problem = Problem("dense", SGD(ALPHA))
    with pytest.raises(ValueError, match="BackpropThroughAdaptation .*use OnlineMetaLearner"):
        warptf.OfflineMetaLearner(
            problem.model, SGD(ALPHA), STEPS, objective=BackpropThroughAdaptation()
        )


def test_without_anything_shared_there_is_nothing_to_learn() -> None:
    with pytest.raises(ValueError, match="no warp variables .*LearnedSGD"):
        warptf.OnlineMetaLearner(
            Problem("linear", SGD(ALPHA)).model,
            SGD(ALPHA),
            STEPS,
            objective=BackpropThroughAdaptation(),
        )
