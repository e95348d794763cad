"""Every public meta-learner, in the configurations that compute something different."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from contracts.initialization import initialization_examples
from contracts.inner_optimizer import inner_optimizer_examples
from meta_learners.problems import classification_tasks, cross_entropy, network, stream
from reinforcement.cells import CELLS, agent_of
from reinforcement.chain import Chain

import warptf
from warptf import meta_learners, objectives
from warptf.initializations import FirstOrderBilevelMAML
from warptf.inner_optimizers import SGD, InnerOptimizer
from warptf.objectives import BackpropThroughAdaptation, Objective, WarpGrad
from warptf.reinforcement import ActorCritic

TASKS, STEPS, EPISODES = 4, 2, 8
# So large that about half of Eq. 7 is its second-order part.
RATE = 0.5
FINITE_DIFFERENCE = "finite_difference"
FINITE_DIFFERENCE_TOLERANCE = 1e-3

Compiled = Callable[..., keras.Model]
Data = Callable[[keras.Model, int, int], tf.data.Dataset]
Make = Callable[[], keras.Model]


class Learner(NamedTuple):
    """A meta-learner to check.

    Attributes:
        make: makes it, not compiled yet, for as many replicas as there are.
        compile: `compile(learner, **options)`.
        data: `data(learner, start, count)` returns meta-batches.
        practice: `practice(learner, count)` returns the same meta-batch many times, or what else it
            must get better at.
        score: what of `evaluate` falls while it learns.
        practice_steps: how many meta-steps of practice are enough to see it.
        tolerance: how far apart two ways to compute the same may be, relative to what was learned.
    """

    make: Make
    compile: Compiled
    data: Data
    practice: Callable[[keras.Model, int], tf.data.Dataset]
    score: Callable[[dict[str, float]], float] = lambda scores: scores["loss"]
    practice_steps: int = 40
    tolerance: float = 1e-5


def optimizer(rate: float = 0.1) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(rate, momentum=0.5)


def _compile_tasks(learner: keras.Model, **options: Any) -> keras.Model:
    learner.compile(
        optimizer(),
        cross_entropy(),
        ["accuracy"],
        initialization_optimizer=optimizer(),
        rate_optimizer=optimizer(0.01),
        **options,
    )
    return learner


def _task_data(learner: keras.Model, start: int, count: int) -> tf.data.Dataset:
    return stream(count, start, tasks=TASKS, steps=STEPS, ids=True)


def _same_tasks(learner: keras.Model, count: int) -> tf.data.Dataset:
    tasks = classification_tasks(TASKS, None, ids=True)
    return tf.data.Dataset.from_tensors(tasks._replace(query=tasks.support)).repeat(count)


def _on_tasks(make: Make, tolerance: float = 1e-5) -> Learner:
    return Learner(make, _compile_tasks, _task_data, _same_tasks, tolerance=tolerance)


def _compile_stream(learner: keras.Model, **options: Any) -> keras.Model:
    learner.compile(
        optimizer(), cross_entropy(), ["accuracy"], task_optimizer=optimizer(RATE), **options
    )
    return learner


def _stream_data(learner: keras.Model, start: int, count: int) -> tf.data.Dataset:
    return stream(count, start, tasks=TASKS, steps=None)


def _on_a_stream(make: Make, tolerance: float = 1e-5) -> Learner:
    return Learner(make, _compile_stream, _stream_data, _same_tasks, tolerance=tolerance)


def _compile_agent(learner: keras.Model, **options: Any) -> keras.Model:
    learner.compile(
        keras.optimizers.Adam(0.01, epsilon=0.1),
        ActorCritic(Chain(6), episodes=EPISODES),
        task_optimizer=keras.optimizers.Adam(0.03, epsilon=0.1),
        **options,
    )
    return learner


def _agent() -> Learner:
    return Learner(
        lambda: warptf.ContinualMetaLearner(agent_of(CELLS["warp-rnn"]()), warp_update_interval=2),
        _compile_agent,
        lambda learner, start, count: learner.experience.batches(count, start),
        lambda learner, count: learner.experience.batches(count),
        score=lambda scores: -scores["reward"],
        practice_steps=150,
    )


def _online(**arguments: Any) -> Learner:
    """Online, with the given parts in place of SGD, Eq. 7 and a fixed initialisation."""
    parts = {"inner_optimizer": lambda: SGD(RATE), **arguments}

    def make() -> keras.Model:
        made = {name: part() for name, part in parts.items()}
        return warptf.OnlineMetaLearner(network(), inner_steps=STEPS, **made)

    estimates = any(_estimates(part()) for part in arguments.values())
    return _on_tasks(make, FINITE_DIFFERENCE_TOLERANCE if estimates else 1e-5)


def _estimates(part: Any) -> bool:
    """Whether a part of a meta-learner magnifies rounding by a finite difference."""
    bilevel = isinstance(part, FirstOrderBilevelMAML)
    return bilevel or getattr(part, "second_order", "") == FINITE_DIFFERENCE


def _offline(**arguments: Any) -> Learner:
    def make() -> keras.Model:
        size = _all_of_a_replica()
        return warptf.OfflineMetaLearner(
            network(), SGD(RATE, 0.5), STEPS, replay_batch_size=size, replay_epochs=2, **arguments
        )

    return _on_tasks(make)


def _all_of_a_replica() -> int:
    """As many steps as a replica stores: replayed at once, their order does not matter."""
    return TASKS * STEPS // tf.distribute.get_strategy().num_replicas_in_sync


def _warp_leap(algorithm: str) -> Learner:
    def make() -> keras.Model:
        size = {"replay_batch_size": _all_of_a_replica()} if algorithm == "offline" else {}
        return warptf.WarpLeap(network(), SGD(RATE), STEPS, algorithm, **size)

    return _on_tasks(make)


def _continual(objective: WarpGrad) -> Learner:
    return _on_a_stream(
        lambda: warptf.ContinualMetaLearner(network(), objective, warp_update_interval=2),
        FINITE_DIFFERENCE_TOLERANCE if _estimates(objective) else 1e-5,
    )


OBJECTIVES: dict[str, dict[str, Callable[[], Objective]]] = {
    "WarpGrad": {
        "finite difference": lambda: WarpGrad(FINITE_DIFFERENCE),
        "finite difference, relative_step=0.1": lambda: WarpGrad(
            FINITE_DIFFERENCE, relative_step=0.1
        ),
        "first order": lambda: WarpGrad("none"),
    },
    "BackpropThroughAdaptation": {"default": BackpropThroughAdaptation},
}

EXAMPLES: dict[str, dict[str, Learner]] = {
    "OnlineMetaLearner": {
        "FirstOrderBilevelMAML, perturbation=0.3, symmetric=True": _online(
            initialization=lambda: FirstOrderBilevelMAML(perturbation=0.3, symmetric=True)
        )
    },
    "OfflineMetaLearner": {
        "exact": _offline(),
        "first order": _offline(objective=WarpGrad("none")),
    },
    "MultiHeadFinetuning": {
        "default": _on_tasks(
            lambda: warptf.MultiHeadFinetuning(network(warp=False), SGD(RATE), STEPS, num_tasks=5)
        )._replace(practice_steps=200)
    },
    "WarpMAML": {"default": _on_tasks(lambda: warptf.WarpMAML(network(), SGD(RATE), STEPS))},
    "WarpLeap": {name: _warp_leap(name) for name in ("offline", "online")},
    "ContinualMetaLearner": {
        "tasks": _continual(WarpGrad("none")),
        "tasks, finite difference": _continual(WarpGrad(FINITE_DIFFERENCE)),
        "agent": _agent(),
    },
}


def learner_examples() -> dict[str, Learner]:
    """Every public meta-learner, and the online one with each of the parts that it is made of."""
    found: dict[str, Learner] = {}
    # `with_model` puts a meta-learner around another model, and makes none of its own kind.
    for name in sorted(set(meta_learners.__all__) - {"MetaLearner", "with_model"}):
        assert name in EXAMPLES, f"add an example of {name} to EXAMPLES in {__name__}"
        cases = EXAMPLES[name]
        if name == "OnlineMetaLearner":
            cases = {**_online_examples(), **cases}
        found |= {f"{name} ({case})" if case != "default" else name: e for case, e in cases.items()}
    return found


def _online_examples() -> dict[str, Learner]:
    """The online meta-learner with each public part of its kind."""
    found: dict[str, Learner] = {}
    for name, make in initialization_examples().items():
        part, case = name.split("-", 1)
        if case == "default":
            found[part] = _online(initialization=make)
    for name, make in _first_of_each(inner_optimizer_examples()).items():
        if name != "SGD":
            found[name] = _online(inner_optimizer=make)
    for name, cls in inspect.getmembers(objectives, inspect.isclass):
        if issubclass(cls, Objective) and cls is not Objective:
            assert name in OBJECTIVES, f"add {name} to OBJECTIVES in {__name__}"
            cases = OBJECTIVES[name].items()
            found |= {
                name if case == "default" else case: _online(objective=o) for case, o in cases
            }
    return found


def _first_of_each(
    examples: dict[str, Callable[[], InnerOptimizer]],
) -> dict[str, Callable[[], InnerOptimizer]]:
    firsts: dict[str, Callable[[], InnerOptimizer]] = {}
    for name, make in examples.items():
        firsts.setdefault(name.split("-")[0], make)
    return firsts
