"""Ordinary models in all that a meta-learner does, beside Keras' own training of them.

The ordinary tests take some cells; `pytest -m "" tests/conformance/test_ordinary_models.py` takes
all, in some minutes.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.ordinary_models import ROWS, Ordinary

import warptf
from warptf.adapted_model import AdaptedModel
from warptf.initializations import MAML, Initialization, Reptile
from warptf.inner_optimizers import SGD
from warptf.partition import all_variables
from warptf.tasks import Task

RATE = 0.1


def as_tensors(values: Any) -> Any:
    return tf.nest.map_structure(tf.constant, values)


def compiled(row: Ordinary, model: keras.Model) -> keras.Model:
    """The model as Keras trains it."""
    model.compile(keras.optimizers.SGD(RATE), loss_of(row), metrics=metrics_of(row))
    return model


def loss_of(row: Ordinary) -> Any:
    return row.loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def metrics_of(row: Ordinary) -> Any:
    return list(row.metrics) if isinstance(row.metrics, tuple) else row.metrics


def meta_learner(row: Ordinary, model: keras.Model, initialization: Initialization) -> Any:
    learner = warptf.OnlineMetaLearner(
        model, SGD(RATE), 1, objective=None, initialization=initialization
    )
    learner.compile(keras.optimizers.SGD(1.0), loss_of(row), metrics=metrics_of(row))
    return learner


def tasks(row: Ordinary) -> tf.data.Dataset:
    """One task, whose query set is its support set."""
    x, y = tf.nest.map_structure(lambda t: tf.constant(t)[tf.newaxis], (row.x, row.y))
    return tf.data.Dataset.from_tensors(Task((x, y), (x, y)))


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(v) for v in model.trainable_variables]


def assert_close(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    found, expected = (tf.nest.flatten(part) for part in (found, expected))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def fit(learner: Any, row: Ordinary) -> dict[str, list[float]]:
    with warnings.catch_warnings():
        # What is said of a model that cannot be saved is tested where it is said.
        warnings.filterwarnings("ignore", ".*cannot be saved as a .keras file")
        return learner.fit(tasks(row), verbose=0).history


def check_fit(row: Ordinary, folder: Path) -> None:
    """A step of Reptile along all of one inner step is a step of Keras' SGD."""
    model = row.make()
    before = values(model)
    learner = meta_learner(row, model, Reptile())
    fit(learner, row)
    moved = values(model)
    assert any(np.any(a != b) for a, b in zip(moved, before, strict=True))
    if not row.random:
        other = row.make()
        for variable, value in zip(other.trainable_variables, before, strict=True):
            variable.assign(value)
        compiled(row, other).train_on_batch(as_tensors(row.x), as_tensors(row.y))
        assert_close(moved, values(other))


def check_second_order(row: Ordinary, folder: Path) -> None:
    """MAML's gradient is the derivative of the loss after adaptation, along one direction."""
    model = row.make()
    before = values(model)
    learner = meta_learner(row, model, MAML())
    history = fit(learner, row)
    gradient = [b - a for a, b in zip(values(model), before, strict=True)]
    assert all(np.all(np.isfinite(g)) for g in gradient)
    size = np.sqrt(sum(np.sum(g**2) for g in gradient))
    assert size > 0 and np.isfinite(history["loss"][0])


def check_evaluate(row: Ordinary, folder: Path) -> None:
    """The scores are Keras' own of the adapted model."""
    learner = meta_learner(row, row.make(), MAML())
    scores = learner.evaluate(tasks(row), verbose=0, return_dict=True)
    if row.random:
        again = learner.evaluate(tasks(row), verbose=0, return_dict=True)
        assert again == scores
    else:
        adapted = compiled(row, learner.adapt(as_tensors(row.x), as_tensors(row.y)))
        expected = adapted.evaluate(
            as_tensors(row.x), as_tensors(row.y), verbose=0, return_dict=True
        )
        assert scores.keys() == expected.keys()
        assert_close(list(scores.values()), [expected[name] for name in scores])


def check_adapt(row: Ordinary, folder: Path) -> None:
    """One step of adaptation is one step of Keras' SGD; the model stays as it was."""
    model = row.make()
    before = values(model)
    learner = meta_learner(row, model, MAML())
    x, y = as_tensors(row.x), as_tensors(row.y)
    adapted = learner.adapt(x, y)
    assert_close(values(model), before, 0.0)
    if row.random:
        assert_close(values(adapted), values(learner.adapt(x, y)), 0.0)
        assert any(np.any(a != b) for a, b in zip(values(adapted), before, strict=True))
    else:
        compiled(row, model).train_on_batch(x, y)
        for own, expected in zip(all_variables(adapted), all_variables(model), strict=True):
            if "seed_generator" not in expected.path:
                assert_close(own, expected)
                # Deep models magnify what rounding has left.
                expected.assign(own)
        assert_close(adapted.predict(x, verbose=0), model.predict(x, verbose=0))


def check_save(row: Ordinary, folder: Path) -> None:
    """What is loaded scores and adapts the same; what could not be loaded is refused."""
    learner = meta_learner(row, row.make(), MAML())
    x, y = as_tensors(row.x), as_tensors(row.y)
    adapted = learner.adapt(x, y)
    if isinstance(adapted, AdaptedModel):
        for one in (learner, adapted):
            with pytest.raises(ValueError, match=r"get_config\(\)"):
                one.save(folder / "refused.keras")
        assert not list(folder.iterdir())
        return
    learner.save(folder / "learner.keras")
    loaded = keras.models.load_model(folder / "learner.keras")
    adapted.save(folder / "adapted.keras")
    expected = adapted.predict(x, verbose=0)
    assert_close(loaded.adapt(x, y).predict(x, verbose=0), expected, 1e-6)
    assert_close(
        keras.models.load_model(folder / "adapted.keras").predict(x, verbose=0), expected, 1e-6
    )


def check_export(row: Ordinary, folder: Path) -> None:
    """The SavedModel predicts what the adapted model does."""
    learner = meta_learner(row, row.make(), MAML())
    x, y = as_tensors(row.x), as_tensors(row.y)
    expected = learner.adapt(x, y).predict(x, verbose=0)
    learner.export(folder / "served")
    served = tf.saved_model.load(folder / "served")
    found = served.adapt_and_predict(x, y, x, 1)
    # Several outputs have names, in no order of their own.
    assert_close(found if isinstance(expected, dict) else list(found.values()), expected, 1e-5)


COLUMNS: dict[str, Callable[[Ordinary, Path], None]] = {
    "fit": check_fit,
    "second order": check_second_order,
    "evaluate": check_evaluate,
    "adapt": check_adapt,
    "save": check_save,
    "export": check_export,
}
# One cheap cell of each row, and of each column.
ORDINARY = {
    ("text with masks", "fit"),
    ("classes of words, masked", "adapt"),
    ("transformer block", "adapt"),
    ("1-D convolution", "evaluate"),
    ("3-D convolution", "adapt"),
    ("segmentation", "evaluate"),
    ("GRU and LSTM", "adapt"),
    ("augmentation", "adapt"),
    ("words looked up", "save"),
    ("text vectorised", "evaluate"),
    ("two inputs", "adapt"),
    ("two outputs", "evaluate"),
    ("subclassed", "export"),
}
CELLS = [
    pytest.param(
        row,
        check,
        id=f"{name}-{column}",
        marks=() if (name, column) in ORDINARY else pytest.mark.slow,
    )
    for name, row in ROWS.items()
    for column, check in COLUMNS.items()
]


@pytest.mark.parametrize(("row", "check"), CELLS)
def test_cell(row: Ordinary, check: Callable[[Ordinary, Path], None], tmp_path: Path) -> None:
    check(row, tmp_path)


def test_the_ordinary_tests_take_a_cell_of_every_quick_row() -> None:
    assert {name for name, _ in ORDINARY} == {name for name, row in ROWS.items() if not row.slow}
    assert {column for _, column in ORDINARY} <= set(COLUMNS)
