"""Callbacks of Keras find in which direction a metric improves, as they do of any model."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, one_batch
from test_compiled_loss import CROSS, targets, two_outputs

import warptf
from warptf.inner_optimizers import SGD
from warptf.tasks import Task

M = keras.metrics
TASKS = classification_tasks(2, None)


def top_two(y_true: Any, y_pred: Any) -> Any:
    return keras.metrics.sparse_top_k_categorical_accuracy(y_true, y_pred, k=2)


class Directions(keras.callbacks.Callback):
    """What early stopping on each of what is reported takes for better, or that it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for monitor in logs:
            stopping = keras.callbacks.EarlyStopping(monitor)
            stopping.set_model(self.model)
            stopping.on_train_begin()
            try:
                stopping.on_epoch_end(epoch, logs)
            except ValueError as error:
                assert "determine whether that metric should be" in str(error)
                self.found[monitor] = "refused"
            else:
                self.found[monitor] = stopping.monitor_op.__name__


def directions(model: keras.Model, *data: Any, **fit: Any) -> dict[str, str]:
    callback = Directions()
    model.fit(*data, callbacks=[callback], verbose=0, **fit)
    return callback.found


METRICS = [
    "accuracy",
    "acc",
    "sparse_categorical_crossentropy",
    M.SparseCategoricalAccuracy(name="right"),
    M.SparseCategoricalCrossentropy(name="wrong", from_logits=True),
    top_two,
]


@pytest.mark.parametrize("stream", [False, True])
def test_directions_are_those_of_keras(stream: bool) -> None:
    arguments = {"loss": cross_entropy(), "metrics": METRICS}
    plain = network()
    plain.compile("sgd", **arguments)
    x, y = TASKS.support[0][0], TASKS.support[1][0]
    expected = directions(plain, x, y, validation_data=(x, y))
    assert len(expected) == 2 * (1 + len(METRICS))
    assert [expected[f"val_{n}"] for n in ("accuracy", "right")] == ["greater"] * 2
    assert [expected[f"val_{n}"] for n in ("loss", "wrong")] == ["less"] * 2
    learner: Any = warptf.OnlineMetaLearner(network(), SGD(0.1), 1)
    if stream:
        learner = warptf.ContinualMetaLearner(network())
    learner.compile("sgd", **arguments)
    assert directions(learner, one_batch(TASKS), validation_data=one_batch(TASKS)) == expected


@pytest.mark.parametrize(
    ("kind", "metrics"),
    [
        ("dict", {"kind": "accuracy", "price": ["mae"]}),
        pytest.param(
            "list", [["accuracy"], [M.MeanAbsoluteError(name="error")]], marks=pytest.mark.slow
        ),
    ],
)
def test_directions_of_several_outputs_are_those_of_keras(kind: str, metrics: Any) -> None:
    losses = {"list": [CROSS, "mse"], "dict": {"kind": CROSS, "price": "mse"}}[kind]
    x, y = np.random.default_rng(8).normal(size=(4, 2)).astype("float32"), targets(kind, None)
    plain = two_outputs(kind)
    plain.compile("sgd", loss=losses, metrics=metrics)
    expected = directions(plain, x, y, validation_data=(x, y))
    part = tf.nest.map_structure(lambda t: np.stack([t, t]), (x, tuple(y) if kind == "list" else y))
    tasks = one_batch(Task(part, part))
    learner = warptf.OnlineMetaLearner(
        two_outputs(kind), SGD(0.1), 1, initialization=warptf.initializations.MAML()
    )
    learner.compile("sgd", loss=losses, metrics=metrics)
    assert directions(learner, tasks, validation_data=tasks) == expected


class Scores(keras.callbacks.Callback):
    """What evaluation within training returns."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.found = self.model.evaluate(one_batch(TASKS), verbose=0)


def test_callbacks_keep_the_best_by_accuracy(tmp_path: Any) -> None:
    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), 1)
    learner.compile("sgd", cross_entropy(), ["accuracy"])
    data, scores = one_batch(TASKS), Scores()
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.keras", "val_accuracy", save_best_only=True
    )
    halved = keras.callbacks.ReduceLROnPlateau("val_accuracy", 0.5, patience=1, min_delta=1.0)
    history = learner.fit(
        data, validation_data=data, epochs=3, callbacks=[checkpoint, halved, scores], verbose=0
    )
    # No accuracy is better by one than another, and a rate is halved after every wait.
    np.testing.assert_allclose(history.history["learning_rate"], [0.01, 0.01, 0.005])
    accuracies = history.history["val_accuracy"]
    best = [e + 1 for e in range(3) if all(accuracies[e] > before for before in accuracies[:e])]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{epoch}.keras" for epoch in best]
    assert scores.found == learner.evaluate(data, verbose=0) and len(scores.found) == 2
    assert [m.name for m in learner.metrics] == ["loss", "accuracy"]
