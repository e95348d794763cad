"""What is asked of a meta-learner in each column of the matrix."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from conformance.comparison import relative_difference
from conformance.devices import mirrored, policy
from conformance.learner_rows import Learner
from meta_learners.problems import classification_tasks, values

from warptf.reinforcement import RecurrentAgent

STEPS = 3


def compiled(learner: Learner, **options: Any) -> keras.Model:
    return learner.compile(learner.make(), **options)


def fit(learner: Learner, model: keras.Model, start: int, count: int) -> None:
    model.fit(learner.data(model, start, count), verbose=0)


def learned(learner: Learner, count: int = STEPS, **options: Any) -> tuple[Any, list[float]]:
    """How far meta-training moves theta and whatever else it learns, and the means it reports."""
    model = compiled(learner, **options)
    own = {id(v) for v in model.partition.task_variables}
    parts = ([], [])
    for variable in model.trainable_variables:
        parts[id(variable) not in own].append(variable)
    before = tf.nest.map_structure(np.array, parts)
    history = model.fit(learner.data(model, 0, count), verbose=0).history
    assert int(model.meta_step.numpy()) == count
    moves = tf.nest.map_structure(lambda v, b: np.array(v) - b, parts, before)
    assert any(np.any(move) for move in tf.nest.flatten(moves))
    return moves, [means[-1] for means in history.values()]


def difference(moves: Any, expected: Any) -> float:
    """How far apart moves are in theta, or in what else is learned, relative to their norm."""
    # NumPy's maximum keeps a NaN, Python's may not.
    return float(np.max([relative_difference(m, e) for m, e in zip(moves, expected, strict=True)]))


def assert_same_learning(learner: Learner, one: Any, other: Any) -> None:
    (moves, means), (their_moves, their_means) = one, other
    apart = difference(their_moves, moves)
    assert apart < learner.tolerance, f"what was learned differs by {apart:.1e}"
    np.testing.assert_allclose(their_means, means, rtol=10 * learner.tolerance, atol=1e-6)


def state(model: keras.Model) -> list[np.ndarray]:
    """All variables, those of the outer optimizers too."""
    names = ("optimizer", "initialization_optimizer", "rate_optimizer", "task_optimizer")
    optimizers = [getattr(model, name) for name in names if hasattr(model, name)]
    return values(model) + [np.array(v) for o in optimizers for v in o.variables]


def check_keras_file(learner: Learner, folder: Path) -> None:
    """Saved half-way, loaded and trained on is the same as not interrupted, to the bit."""
    model = compiled(learner)
    fit(learner, model, 0, 2)
    model.save(folder / "learner.keras")
    loaded = keras.models.load_model(folder / "learner.keras")
    for a, b in zip(outputs(model), outputs(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    saved = state(loaded)
    for one in (model, loaded):
        fit(learner, one, 2, 2)
    assert any(np.any(a != b) for a, b in zip(saved, state(loaded), strict=True))
    for a, b in zip(state(model), state(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


def outputs(model: keras.Model) -> list[np.ndarray]:
    """What a model predicts, and a copy adapted to a task where it adapts."""
    x, y, query = episode()
    copies = [model.adapt(x, y)(query)] if hasattr(model, "adapt") else []
    return [np.array(part) for part in (*predictions(model), *copies)]


def predictions(model: keras.Model) -> list[Any]:
    """What a model predicts as it stands."""
    if isinstance(model.model, RecurrentAgent):
        return list(model(observations()))
    return [model(episode()[2])]


def episode() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Support inputs and targets, and query inputs, of one task."""
    task = classification_tasks(1, None, seed=9)
    return task.support[0][0], task.support[1][0], task.query[0][0]


def observations() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")


def check_saved_model(learner: Learner, folder: Path) -> None:
    """The SavedModel adapts, predicts and acts as the Python object does."""
    model = compiled(learner)
    fit(learner, model, 0, 2)
    model.export(folder / "served")
    served = tf.saved_model.load(folder / "served")
    if hasattr(model, "adapt"):
        expected, found = adapted(model), served_adapted(served)
    elif isinstance(model.model, RecurrentAgent):
        expected, found = predictions(model), act(served, observations())
    else:
        expected, found = predictions(model), [served.predict(episode()[2])["predictions"]]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)


def adapted(model: keras.Model) -> list[Any]:
    """Predictions after no step and, twice, after three."""
    x, y, query = episode()
    before, after = model(query), model.adapt(x, y, 3)(query)
    assert np.max(np.abs(before - after)) > 1e-4
    return [before, after, after]


def served_adapted(served: Any) -> list[Any]:
    x, y, query = episode()
    before = served.predict(query)["predictions"]
    aside = served.adapt_and_predict(x, y, query, 3)["predictions"]
    served.adapt(x, y, 3)
    return [before, aside, served.predict(query)["predictions"]]


def act(served: Any, observed: np.ndarray) -> list[Any]:
    """Logits and values at each step of episodes."""
    states, steps = served.start(len(observed)), []
    for t in range(observed.shape[1]):
        out = served.act(observed[:, t], *(states[name] for name in sorted(states)))
        states = {name: out[name] for name in states}
        steps.append((out["logits"], out["value"]))
    return [np.stack(part, axis=1) for part in zip(*steps, strict=True)]


def check_graph(learner: Learner, folder: Path) -> None:
    """Compiled to graphs, meta-training is the same as run op by op."""
    assert_same_learning(learner, learned(learner, run_eagerly=True), learned(learner))


def check_xla(learner: Learner, folder: Path) -> None:
    """Compiled by XLA, as a whole and task by task, meta-training is the same."""
    plain = learned(learner)
    choices = (True, "tasks") if hasattr(learner.make(), "adapt") else (True,)
    for choice in choices:
        assert_same_learning(learner, plain, learned(learner, jit_compile=choice))


def check_mirrored(learner: Learner, folder: Path) -> None:
    """Two replicas share the tasks of meta-batches and learn what one device learns."""
    alone = learned(learner)
    with mirrored():
        together = learned(learner)
    assert_same_learning(learner, alone, together)


def check_mixed_bfloat16(learner: Learner, folder: Path) -> None:
    """Half precision with the range of single precision."""
    # Numbers of eight bits are off by up to 2^-9, and some twenty such roundings add up to about a
    # per cent, where a wrong or missing term would make tens: the second-order one makes fifty.
    check_mixed(learner, "bfloat16", 0.02)


def check_mixed_float16(learner: Learner, folder: Path) -> None:
    """Half precision with eleven bits, an eighth of those errors, and losses scaled."""
    check_mixed(learner, "float16", 0.005)


def check_mixed(learner: Learner, compute: str, tolerance: float) -> None:
    """Meta-training in half precision learns, and takes nearly the same steps."""
    single = learned(learner, 2)[0]
    with policy(f"mixed_{compute}"):
        model = compiled(learner)
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
        assert {part.dtype.name for part in predictions(model)} == {compute}
        assert_learns(learner, model)
        half = learned(learner, 2)[0]
    assert all(np.all(np.isfinite(v)) for v in values(model))
    apart = difference(half, single)
    assert apart < tolerance, f"the gradient differs by {apart:.1%}"


def assert_learns(learner: Learner, model: keras.Model) -> None:
    """What was practised is done better."""
    scored = learner.practice(model, 4)
    before = learner.score(model.evaluate(scored, verbose=0, return_dict=True))
    model.fit(learner.practice(model, learner.practice_steps), verbose=0)
    after = learner.score(model.evaluate(scored, verbose=0, return_dict=True))
    assert after < before - 0.1, f"the score was {before:.3f} and is {after:.3f}"


def check_vectorised(learner: Learner, folder: Path) -> None:
    """Tasks that are learned and scored together learn and score what they do in turns."""
    found = []
    for together in (False, True):
        found.append(learned(learner, vectorize_tasks=together))
    assert_same_learning(learner, *found)
    models = [compiled(learner, vectorize_tasks=together) for together in (False, True)]
    scores = [m.evaluate(learner.data(m, 0, 1), verbose=0, return_dict=True) for m in models]
    for name, score in scores[0].items():
        np.testing.assert_allclose(scores[1][name], score, rtol=1e-5, atol=1e-6)


CHECKS = {
    ".keras": check_keras_file,
    "SavedModel": check_saved_model,
    "tf.function": check_graph,
    "XLA": check_xla,
    "mirrored ×2": check_mirrored,
    "mixed_bfloat16": check_mixed_bfloat16,
    "mixed_float16": check_mixed_float16,
    "vectorised": check_vectorised,
}
