"""Meta-learners under `fit`, as Keras users use it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import (
    classification_tasks,
    cross_entropy,
    network,
    one_batch,
    stream,
    values,
)

import warptf
from warptf.initializations import Leap, Reptile
from warptf.inner_optimizers import SGD

KINDS = ["online", "offline", "finetuning"]


def build(kind, **compiling):
    if kind == "finetuning":
        learner = warptf.MultiHeadFinetuning(network(warp=False), SGD(0.1), 2, num_tasks=2)
    else:
        learner = warptf.WarpLeap(network(), SGD(0.1), 2, algorithm=kind)
    compiling = {"optimizer": keras.optimizers.SGD(0.1), "metrics": ["accuracy"], **compiling}
    learner.compile(loss=cross_entropy(), **compiling)
    return learner


def data_of(kind, steps=3):
    return stream(steps, ids=kind == "finetuning", replay=kind == "offline")


@pytest.fixture(scope="module", params=KINDS)
def reference(request):
    """A kind of meta-learner, its history and its variables after an ordinary fit."""
    learner = build(request.param)
    history = learner.fit(data_of(request.param), verbose=0).history
    return request.param, history, values(learner)


def assert_same(history, weights, reference, **tolerance):
    _, expected_history, expected = reference
    for name, means in expected_history.items():
        np.testing.assert_allclose(history[name], means, rtol=1e-5)
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def test_fit_moves_what_it_should_and_counts(reference):
    kind, history, weights = reference
    learner = build(kind)
    before = values(learner)
    moved = [bool(np.any(a != b)) for a, b in zip(before, weights, strict=True)]
    paths = [v.path for v in learner.weights]
    # All of theta, phi and heads; in joint training not the head that new tasks start from.
    still = {"network/head/kernel", "network/head/bias"} if kind == "finetuning" else set()
    assert {p for p, m in zip(paths, moved, strict=True) if not m} == still
    assert {"loss"} <= set(history)


def test_several_steps_per_execution_where_the_data_end_within_one(reference):
    learner = build(reference[0], steps_per_execution=2)
    history = learner.fit(data_of(reference[0]), verbose=0).history
    # Compiled as one function, the same sums may be taken in another order.
    assert_same(history, values(learner), reference, rtol=1e-5, atol=1e-7)


# Keras tells of data that end before it knew.
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_data_set_of_unknown_length_changes_nothing(reference):
    learner = build(reference[0])
    endless = data_of(reference[0]).filter(lambda *_: True)
    assert endless.cardinality() == tf.data.UNKNOWN_CARDINALITY
    history = learner.fit(endless, verbose=0).history
    assert_same(history, values(learner), reference, rtol=0, atol=0)


@pytest.mark.few("online-True", "offline-tasks")
@pytest.mark.parametrize("jit_compile", [True, "tasks"])
def test_compiled_by_xla(reference, jit_compile):
    learner = build(reference[0], jit_compile=jit_compile)
    history = learner.fit(data_of(reference[0]), verbose=0).history
    if reference[0] == "offline" and jit_compile is True:
        # XLA has another random stream, hence another order of replays.
        assert np.isfinite(history["loss"]).all()
        return
    assert_same(history, values(learner), reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", [warptf.OnlineMetaLearner, warptf.OfflineMetaLearner])
def test_eagerly(cls):
    """Step by step in Python, for those who look for an error."""
    results = []
    for eager in (False, True):
        learner = cls(network(), SGD(0.1), 1)
        learner.compile("sgd", cross_entropy(), run_eagerly=eager)
        learner.fit(stream(1), verbose=0)
        results.append(values(learner))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_compiling_again_takes_effect(reference):
    learner = build(reference[0])
    learner.fit(data_of(reference[0]), verbose=0)
    learner.compile(keras.optimizers.SGD(0.0), cross_entropy())
    before = values(learner)
    learner.fit(data_of(reference[0]), verbose=0)
    for v, a, b in zip(learner.weights, before, values(learner), strict=True):
        assert v.path.endswith("meta_step") or np.array_equal(a, b)


def test_callbacks_and_validation(tmp_path):
    learner = build("online")
    rates, scored = [], []

    def schedule(epoch, rate):
        return 0.1 / (epoch + 1)

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))
            scored.append(set(logs))

    path = tmp_path / "best.keras"
    history = learner.fit(
        data_of("online"),
        epochs=2,
        validation_data=stream(2, start=50),
        callbacks=[
            keras.callbacks.LearningRateScheduler(schedule),
            keras.callbacks.ModelCheckpoint(path, monitor="val_loss"),
            Watch(),
        ],
        verbose=0,
    )
    np.testing.assert_allclose(rates, [0.1, 0.05], rtol=1e-6)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= scored[0]
    scores = learner.evaluate(stream(2, start=50), verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(history.history["val_loss"][-1], rel=1e-6)
    loaded = keras.models.load_model(path)
    again = loaded.evaluate(stream(2, start=50), verbose=0, return_dict=True)
    assert again == pytest.approx(scores, rel=1e-6)


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    learner = build("online")
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    learner.fit(data_of("online", 1), callbacks=[board], verbose=0)
    assert list(tmp_path.rglob("events.*"))


def test_frozen_layers_stay():
    model = network()
    model.get_layer("body").trainable = False
    learner = warptf.OnlineMetaLearner(model, SGD(0.1), 2, initialization=Reptile())
    learner.compile(keras.optimizers.SGD(0.5), cross_entropy())
    before = [np.array(w) for w in model.get_layer("body").get_weights()]
    learner.fit(data_of("online", 1), verbose=0)
    for a, b in zip(before, model.get_layer("body").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(
        model.get_layer("warp").get_weights()[0] != network().get_layer("warp").get_weights()[0]
    )


def test_batches_of_unknown_size_are_learned_online():
    """`Dataset.batch` leaves the number of tasks open."""
    tasks = classification_tasks(4)
    pairs = tf.data.Dataset.from_tensor_slices((tasks.support, tasks.query))
    results = []
    for batches in (pairs.batch(2), pairs.batch(2, drop_remainder=True)):
        learner = build("online", metrics=None)
        learner.fit(batches, verbose=0)
        results.append(values(learner))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_targets_of_any_kind():
    """One-hot targets, double precision and several metrics, one given as a function."""
    tasks = classification_tasks()

    def one_hot(part):
        return part[0].astype("float64"), np.eye(3)[part[1]]

    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), 2, initialization=Leap())
    learner.compile(
        "adam",
        keras.losses.CategoricalCrossentropy(from_logits=True),
        ["accuracy", keras.metrics.categorical_accuracy, keras.metrics.TopKCategoricalAccuracy(3)],
    )
    tasks = tasks._replace(support=one_hot(tasks.support), query=one_hot(tasks.query))
    history = learner.fit(one_batch(tasks), verbose=0).history
    assert history["accuracy"] == history["categorical_accuracy"]
    assert history["top_k_categorical_accuracy"] == [1.0]
