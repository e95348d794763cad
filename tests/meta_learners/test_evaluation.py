"""Scoring tasks: what is computed, and what is left untouched."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import (
    CLASSES,
    ScalarLearner,
    batch_of,
    classification_tasks,
    cross_entropy,
    network,
    one_batch,
    scalar_tasks,
    values,
)

import warptf
from warptf.inner_optimizers import SGD
from warptf.tasks import Task

ALPHA = 0.1
START = ScalarLearner(theta=0.7, phi=1.3)


@pytest.fixture(scope="module")
def plain():
    learner = warptf.OnlineMetaLearner(network(), SGD(ALPHA), 3)
    top = keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")
    learner.compile("sgd", cross_entropy(), ["accuracy", top])
    return learner


@pytest.fixture(scope="module")
def noisy():
    """A learner with batch norm and dropout."""
    learner = warptf.OnlineMetaLearner(network(batch_norm=True, dropout=0.5), SGD(0.3), 3)
    learner.compile("sgd", cross_entropy(), ["accuracy"])
    return learner


def softmax_reference(model, task, t):
    """Adaptation and scores in NumPy, with the gradients of the network written out."""
    w1, b1, wp, bp, w2, b2 = (w.astype("float64") for w in model.get_weights())
    curve = []

    def forward(x):
        h = np.tanh(x @ w1 + b1)
        return h, h @ wp + bp, (h @ wp + bp) @ w2 + b2

    def scores(logits, y):
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        top2 = np.argsort(logits, -1)[:, -2:]
        return p, {
            "loss": np.mean(-np.log(p[np.arange(len(y)), y])),
            "accuracy": np.mean(logits.argmax(-1) == y),
            "top2": np.mean((top2 == y[:, None]).any(-1)),
        }

    for k in range(3):
        x, y = (part[t, k] for part in task.support)
        h, warped, logits = forward(x.astype("float64"))
        p, found = scores(logits, y)
        curve.append(found)
        delta = (p - np.eye(CLASSES)[y]) / len(y)
        back = (delta @ w2.T @ wp.T) * (1 - h**2)
        w2, b2 = w2 - ALPHA * warped.T @ delta, b2 - ALPHA * delta.sum(0)
        w1, b1 = w1 - ALPHA * x.T @ back, b1 - ALPHA * back.sum(0)
    x, y = (part[t] for part in task.query)
    return scores(forward(x.astype("float64"))[2], y)[1], curve


def test_scores_along_adaptation_against_numpy(plain):
    task = classification_tasks(3)
    scores = plain.evaluate_tasks(one_batch(task))
    for t in range(3):
        final, curve = softmax_reference(plain.model, task, t)
        for name, value in final.items():
            assert scores[name][t] == pytest.approx(value, rel=1e-5)
            np.testing.assert_allclose(
                scores[f"support_{name}"][t], [step[name] for step in curve], rtol=1e-5
            )


def test_evaluate_averages_over_tasks_also_in_unequal_batches(plain):
    tasks = classification_tasks(5)
    batches = tf.data.Dataset.from_tensor_slices((tasks.support, tasks.query)).batch(2)
    each = [softmax_reference(plain.model, tasks, t)[0] for t in range(5)]
    expected = {name: np.mean([scores[name] for scores in each]) for name in each[0]}
    assert plain.evaluate(batches, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)
    per_task = plain.evaluate_tasks(batches)
    np.testing.assert_allclose(per_task["loss"], [s["loss"] for s in each], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_data_set_of_unknown_length_scores_the_same(plain):
    tasks = one_batch(classification_tasks(3))
    known = plain.evaluate(tasks, verbose=0, return_dict=True)
    unknown = plain.evaluate(tasks.filter(lambda *_: True), verbose=0, return_dict=True)
    assert unknown == pytest.approx(known, rel=1e-6)


def test_steps_of_evaluation_are_their_own():
    task = scalar_tasks(2, 5)
    query = tuple(part[:, 0] for part in task.query)
    learner = warptf.OnlineMetaLearner(START.model(), SGD(ALPHA), 2, evaluation_steps=5)
    learner.compile("sgd", "mse")

    def loss_after(steps, t):
        theta = START.theta
        for k in range(steps):
            batch = batch_of(task.support, t, k)
            theta -= ALPHA * START.theta_gradient(theta, START.phi, batch)
        return START.loss(theta, START.phi, batch_of(query, t))

    held_out = one_batch(Task(task.support, query))
    expected = [loss_after(5, t) for t in range(2)]
    np.testing.assert_allclose(learner.evaluate_tasks(held_out)["loss"], expected, rtol=1e-5)
    expected = [loss_after(3, t) for t in range(2)]
    scores = learner.evaluate_tasks(held_out, steps=3)
    np.testing.assert_allclose(scores["loss"], expected, rtol=1e-5)
    assert scores["support_loss"].shape == (2, 3)


def test_nothing_is_assigned(noisy):
    before = values(noisy)
    task = classification_tasks(2)
    noisy.evaluate(one_batch(task), verbose=0)
    noisy.evaluate_tasks(one_batch(task))
    noisy.adapt(task.query[0][0], task.query[1][0])
    for a, b in zip(before, values(noisy), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_leaves_the_models_state_alone():
    model = network(batch_norm=True, dropout=0.5)
    before = [np.array(v) for v in model.non_trainable_variables]
    for algorithm in ("online", "offline"):
        learner = warptf.WarpLeap(model, SGD(0.1), 2, algorithm=algorithm)
        learner.compile("sgd", cross_entropy())
        learner.fit(one_batch(classification_tasks()), verbose=0)
    for a, b in zip(before, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(a, np.array(b))


def test_a_task_scores_the_same_beside_other_tasks(noisy):
    tasks = classification_tasks(3, ids=True)
    together = noisy.evaluate_tasks(one_batch(tasks))
    for t in (2, 0):
        alone = tf.nest.map_structure(lambda part, t=t: part[t : t + 1], tasks._replace(replay=()))
        alone = noisy.evaluate_tasks(one_batch(alone._replace(replay=None)))
        for name, scores in alone.items():
            np.testing.assert_allclose(scores[0], together[name][t], rtol=1e-6)


def test_dropout_masks_differ_between_tasks_and_repeat_with_the_seed(noisy):
    one = classification_tasks(1)
    twins = tf.nest.map_structure(
        lambda part: np.concatenate([part, part]), Task(one.support, one.query, (), ())
    )
    twins = one_batch(twins._replace(replay=None, task_id=None))
    scores = noisy.evaluate_tasks(twins)
    assert scores["support_loss"][0, 0] != scores["support_loss"][1, 0]
    np.testing.assert_array_equal(scores["loss"], noisy.evaluate_tasks(twins)["loss"])
    other = warptf.OnlineMetaLearner(noisy.model, SGD(0.3), 3, seed=1)
    other.compile("sgd", cross_entropy(), ["accuracy"])
    assert np.all(other.evaluate_tasks(twins)["support_loss"] != scores["support_loss"])


def test_batch_norm_tests_with_the_statistics_of_its_own_adaptation():
    """One layer of batch norm on the input, so that the statistics are those of the data."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.BatchNormalization(momentum=0.5, epsilon=0.0),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
        ]
    )
    # Statistics that a task must not start from.
    model.layers[0].moving_mean.assign([7.0, 7.0])
    learner = warptf.OnlineMetaLearner(model, SGD(0.0), 3, objective=None)
    learner.compile("sgd", "mse")
    random = np.random.default_rng(0)
    x = random.normal(2.0, 3.0, (2, 3, 6, 2)).astype("float32")
    y = np.zeros((2, 3, 6, 1), "float32")
    query = random.normal(2.0, 3.0, (2, 4, 2)).astype("float32")
    scores = learner.evaluate_tasks(one_batch(Task((x, y), (query, np.zeros((2, 4, 1), "f")))))
    for t in range(2):
        mean, variance = np.zeros(2), np.ones(2)
        for k in range(3):
            mean = 0.5 * mean + 0.5 * x[t, k].mean(0)
            variance = 0.5 * variance + 0.5 * x[t, k].var(0)
        predictions = ((query[t] - mean) / np.sqrt(variance)).sum(-1)
        assert scores["loss"][t] == pytest.approx(np.mean(predictions**2), rel=1e-5)


@pytest.mark.parametrize(
    "initialization",
    [
        warptf.initializations.Fixed(),
        warptf.initializations.Leap(),
        warptf.initializations.Reptile(),
        warptf.initializations.MAML(),
        warptf.initializations.MAML(first_order=True),
        warptf.initializations.MultiTask(),
    ],
    ids=lambda i: type(i).__name__,
)
def test_context_variables_are_adapted_from_zero_and_never_learned(initialization):
    class Shift(warptf.TaskLayer):
        def build(self, input_shape):
            self.shift = self.add_weight(shape=(input_shape[-1],), initializer="ones")

        def call(self, inputs):
            return inputs + self.shift

    base = ScalarLearner(1.0, 1.0).model()
    model = keras.Sequential([keras.Input((1,)), *base.layers, Shift(context=True)])
    task = scalar_tasks(2, 1)
    query = tuple(part[:, 0] for part in task.query)
    learner = warptf.OnlineMetaLearner(model, SGD(ALPHA), 1, initialization=initialization)
    learner.compile(keras.optimizers.SGD(0.1), "mse")
    scores = learner.evaluate_tasks(one_batch(Task(task.support, query)))
    for t in range(2):
        x, y = batch_of(task.support, t, 0)
        error = x - y
        theta, shift = 1 - ALPHA * np.mean(2 * error * x), -ALPHA * np.mean(2 * error)
        x, y = batch_of(query, t)
        assert scores["loss"][t] == pytest.approx(np.mean((theta * x + shift - y) ** 2), rel=1e-5)
    learner.fit(one_batch(task), verbose=0)
    theta, phi, shift = (w.item() for w in model.get_weights())
    assert shift == 1.0
    assert phi != 1.0
    assert (theta == 1.0) == (not initialization.learns)


@pytest.mark.parametrize("fused", [False, True])
def test_transductive_batch_norm_uses_the_statistics_of_the_query(fused, tmp_path):
    """As above, but whatever adaptation gathered, the query is normalised by itself."""
    if fused:  # The layer that has kernels of its own for images.
        shape, norm = (2, 2, 2), warptf.layers.BatchNormalization(momentum=0.5, epsilon=0.0)
    else:
        shape, norm = (2,), keras.layers.BatchNormalization(momentum=0.5, epsilon=0.0)
    model = keras.Sequential(
        [
            keras.Input(shape),
            norm,
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
        ]
    )
    learner = warptf.OnlineMetaLearner(
        model, SGD(0.0), 3, objective=None, batch_norm="transductive"
    )
    learner.compile("sgd", "mse")
    random = np.random.default_rng(0)
    x = random.normal(2.0, 3.0, (2, 6, *shape)).astype("float32")
    query = random.normal(-1.0, 2.0, (2, 8, *shape)).astype("float32")
    task = Task((x, np.zeros((2, 6, 1), "float32")), (query, np.zeros((2, 8, 1), "float32")))
    scores = learner.evaluate_tasks(one_batch(task))
    axes = tuple(range(1, query.ndim - 1))
    centred = query - query.mean(axes, keepdims=True)
    normalised = centred / np.sqrt(query.var(axes, keepdims=True))
    # No dropout: scoring is no training.
    expected = (normalised.reshape(2, 8, -1).sum(-1) ** 2).mean(-1)
    np.testing.assert_allclose(scores["loss"], expected, rtol=1e-4)
    # Calls after it are as ever.
    assert type(norm).call.__get__(norm) == norm.call
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.batch_norm == "transductive"
    np.testing.assert_allclose(loaded.evaluate_tasks(one_batch(task))["loss"], expected, rtol=1e-4)
    # The artefact predicts each example by itself, as the adapted model does.
    loaded.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    y = np.zeros((6, 1), "float32")
    out = served.adapt_and_predict(x[0], y, query[0], 3)["predictions"]
    np.testing.assert_allclose(out, loaded.adapt(x[0], y)(query[0]), rtol=1e-5)
    alone = served.adapt_and_predict(x[0], y, query[0, :1], 3)["predictions"]
    np.testing.assert_allclose(alone, out[:1], rtol=1e-5)


def test_an_unknown_batch_norm_protocol_is_refused():
    with pytest.raises(ValueError, match="batch_norm must be one of .*got 'query'"):
        warptf.OnlineMetaLearner(network(), SGD(0.1), 3, batch_norm="query")
