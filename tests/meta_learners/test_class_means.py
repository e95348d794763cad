"""Adaptation that starts at class means: its start, its derivatives, and where it is used."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.numerics import double_precision

import warptf
from warptf import initializations, objectives
from warptf.inner_optimizers import SGD
from warptf.layers import ClassMeanHead, WarpDense, WarpTemperature
from warptf.partition import FunctionalLearner
from warptf.tasks import Task

Dense = keras.layers.Dense
RNG = np.random.default_rng(0)
LABELS, QUERIES = np.array([0, 0, 1, 2, 2, 1]), np.array([0, 1, 2, 2])
X, QX = RNG.normal(size=(6, 3)), RNG.normal(size=(4, 3))
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def centroids(x: np.ndarray, y: np.ndarray, distance: str) -> np.ndarray:
    x = unit(x) if distance == "cosine" else x
    means = np.stack([x[y == c].mean(0) for c in range(3)])
    return unit(means) if distance == "cosine" else means


def logits(x: np.ndarray, w: np.ndarray, distance: str) -> np.ndarray:
    if distance == "cosine":
        return 10.0 * unit(x) @ unit(w).T
    return -((x[:, None] - w[None]) ** 2).sum(-1)


def cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    z = z - z.max(-1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(-1)) - z[np.arange(len(y)), y]))


def body_and_head(distance: str, warp: bool = False, units: int = 3) -> keras.Model:
    keras.utils.set_random_seed(3)
    body = WarpDense(4, activation="tanh") if warp else Dense(4, activation="tanh")
    return keras.Sequential([keras.Input((3,)), body, ClassMeanHead(units, distance)])


def learner_of(model: keras.Model, steps: int, rate: float = 0.1, **kwargs: Any) -> Any:
    kwargs = {"objective": None, **kwargs}
    learner = warptf.OnlineMetaLearner(model, SGD(rate), steps, **kwargs)
    # Eagerly where derivatives are checked: a graph of its own for each would take its time.
    eager = keras.config.floatx() == "float64"
    learner.compile(keras.optimizers.SGD(1.0), LOSS, metrics=["accuracy"], run_eagerly=eager)
    return learner


def tasks_of(*, dtype: str = "float32") -> tf.data.Dataset:
    support, query = (
        (X[None].astype(dtype), LABELS[None]),
        (QX[None].astype(dtype), QUERIES[None]),
    )
    return tf.data.Dataset.from_tensors(Task(support, query))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_without_steps_it_is_the_nearest_centroid_classifier(distance: str) -> None:
    model = body_and_head(distance)
    body = model.layers[0]
    learner = learner_of(model, 0)
    means = centroids(body(X).numpy(), LABELS, distance)
    expected = logits(body(QX).numpy(), means, distance)
    adapted = learner.adapt(X.astype("float32"), LABELS)
    np.testing.assert_allclose(adapted(QX), expected, rtol=1e-4, atol=1e-4)
    scores = learner.evaluate_tasks(tasks_of())
    np.testing.assert_allclose(scores["loss"], [cross_entropy(expected, QUERIES)], rtol=1e-4)
    hits = expected.argmax(-1) == QUERIES
    np.testing.assert_allclose(scores["accuracy"], [hits.mean()])
    along = learner.predict_along(tasks_of(), steps=2)
    np.testing.assert_allclose(along[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_labels_may_be_columns_one_hot_or_weighted() -> None:
    with double_precision():
        head = ClassMeanHead(3, "euclidean")
        model = keras.Sequential([keras.Input((3,)), head])
        functional = FunctionalLearner(model)
        theta, state = functional.initial_theta(), functional.initial_state(tf.constant([0, 1]))
        means = centroids(X, LABELS, "euclidean").T
        for y in (LABELS, LABELS[:, None], np.eye(3)[LABELS]):
            started, _ = functional.start(theta, [], state, (X, y))
            np.testing.assert_allclose(started[0], means)
        weights = np.array([1.0, 0.0, 2.0, 1.0, 3.0, 2.0])
        started, _ = functional.start(theta, [], state, (X, LABELS, weights))
        expected = [np.average(X[c == LABELS], 0, weights[c == LABELS]) for c in range(3)]
        np.testing.assert_allclose(started[0], np.stack(expected).T)
        with pytest.raises(ValueError, match=r"needs labels \[B\].*got shape \(6, 2\)"):
            functional.start(theta, [], state, (X, np.zeros((6, 2))))


def test_classes_that_the_support_lacks_are_never_predicted() -> None:
    model = body_and_head("cosine", units=7)
    learner = learner_of(model, 3)
    two = LABELS < 2
    adapted = learner.adapt(X[two].astype("float32"), LABELS[two] * 5)
    probabilities = keras.ops.softmax(adapted(QX)).numpy()
    absent = [1, 2, 3, 4, 6]
    assert (probabilities[:, absent] == 0).all()
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    # The other classes are learned as by a head that has no more of them.
    small = learner_of(body_and_head("cosine", units=2), 3)
    small.model.layers[0].set_weights(model.layers[0].get_weights())
    expected = small.adapt(X[two].astype("float32"), LABELS[two])(QX)
    np.testing.assert_allclose(adapted(QX).numpy()[:, [0, 5]], expected, rtol=1e-5, atol=1e-5)


def numeric_gradient(f: Any, at: list[np.ndarray], step: float = 1e-6) -> list[np.ndarray]:
    found = []
    for i, value in enumerate(at):
        gradient = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            sides = []
            for sign in (1, -1):
                moved = [v.copy() for v in at]
                moved[i][index] += sign * step
                sides.append(f(moved))
            gradient[index] = (sides[0] - sides[1]) / (2 * step)
        found.append(gradient)
    return found


def moved_by_one_step(learner: Any) -> list[np.ndarray]:
    """The gradients that a meta-step with rate 1 moves the body by."""
    before = [v.numpy() for v in learner.model.layers[0].trainable_variables]
    learner.fit(tasks_of(dtype="float64"), verbose=0)
    after = [v.numpy() for v in learner.model.layers[0].trainable_variables]
    return [b - a for b, a in zip(before, after, strict=True)]


def body_features(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    return np.tanh(x @ weights[0] + weights[1])


@pytest.mark.parametrize(("distance", "warp"), [("cosine", False), ("euclidean", True)])
def test_prototypical_training_has_the_gradient_of_the_prototypical_loss(
    distance: str, warp: bool
) -> None:
    """Snell et al.'s loss in NumPy, by central differences; body as theta_0 and as phi."""
    with double_precision():
        kwargs: dict[str, Any] = dict(initialization=initializations.MAML())
        if warp:
            kwargs = dict(objective=objectives.BackpropThroughAdaptation())
        learner = learner_of(body_and_head(distance, warp), 0, **kwargs)
        weights = [v.numpy() for v in learner.model.layers[0].trainable_variables]

        def loss(w: list[np.ndarray]) -> float:
            means = centroids(body_features(X, w), LABELS, distance)
            return cross_entropy(logits(body_features(QX, w), means, distance), QUERIES)

        expected = numeric_gradient(loss, weights)
        for found, right in zip(moved_by_one_step(learner), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-7)


def steps_in_numpy(
    w: list[np.ndarray], means: np.ndarray, steps: int, rate: float
) -> list[np.ndarray]:
    """The head after each step of gradient descent, its gradient by central differences."""
    x, path = body_features(X, w), [means]
    for _ in range(steps):
        gradient = numeric_gradient(
            lambda m: cross_entropy(logits(x, m[0], "cosine"), LABELS), [path[-1]]
        )
        path.append(path[-1] - rate * gradient[0])
    return path


def test_maml_differentiates_through_means_and_steps() -> None:
    with double_precision():
        model = keras.Sequential(
            [keras.Input((3,)), WarpDense(4, activation="tanh"), ClassMeanHead(3)]
        )
        learner = learner_of(model, 2, 0.3, objective=objectives.BackpropThroughAdaptation())
        weights = [v.numpy() for v in learner.model.layers[0].trainable_variables]

        def loss(w: list[np.ndarray]) -> float:
            means = centroids(body_features(X, w), LABELS, "cosine")
            last = steps_in_numpy(w, means, 2, 0.3)[-1]
            return cross_entropy(logits(body_features(QX, w), last, "cosine"), QUERIES)

        expected = numeric_gradient(loss, weights, 1e-4)
        for found, right in zip(moved_by_one_step(learner), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mode", ["exact", "finite_difference", "none"])
def test_the_warp_objective_moves_the_start_with_phi(mode: str) -> None:
    """Eq. 7 where theta_k is the start, a function of phi, plus a constant."""
    with double_precision():
        learner = learner_of(
            body_and_head("cosine", warp=True), 2, 0.3, objective=objectives.WarpGrad(mode)
        )
        weights = [v.numpy() for v in learner.model.layers[0].trainable_variables]
        start = centroids(body_features(X, weights), LABELS, "cosine")
        path = steps_in_numpy(weights, start, 2, 0.3)

        def loss(w: list[np.ndarray]) -> float:
            moved = centroids(body_features(X, w), LABELS, "cosine") - start
            total = 0.0
            for k in range(2):
                if mode == "none":
                    stepped = path[k + 1] + moved
                else:
                    stepped = steps_in_numpy(w, path[k] + moved, 1, 0.3)[-1]
                z = logits(body_features(QX, w), stepped, "cosine")
                total += cross_entropy(z, QUERIES) / 2
            return total

        expected = numeric_gradient(loss, weights, 1e-4)
        for found, right in zip(moved_by_one_step(learner), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=2e-3, atol=1e-5)


def test_batch_norm_gathers_its_statistics_at_the_start() -> None:
    """Without a step, queries are normalised by the support set's statistics."""
    norm = keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-5)
    model = keras.Sequential([keras.Input((3,)), norm, ClassMeanHead(3, "euclidean")])
    learner = learner_of(model, 0)
    adapted = learner.adapt(X.astype("float32"), LABELS)
    mean, deviation = X.mean(0), np.sqrt(X.var(0) + 1e-5)
    means = centroids((X - mean) / deviation, LABELS, "euclidean")
    expected = logits((QX - mean) / deviation, means, "euclidean")
    np.testing.assert_allclose(adapted(QX, training=False), expected, rtol=1e-3, atol=1e-4)


def test_saved_exported_and_adapted_learners_agree(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            WarpDense(4, activation="tanh"),
            Dense(4),
            ClassMeanHead(5),
            WarpTemperature(),
        ]
    )
    learner = learner_of(
        model, 3, objective=objectives.WarpGrad(), initialization=initializations.MAML()
    )
    learner.fit(tasks_of(), verbose=0)
    x, q = X.astype("float32"), QX.astype("float32")
    expected = learner.adapt(x, LABELS)(q).numpy()
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    np.testing.assert_array_equal(loaded.adapt(x, LABELS)(q), expected)
    learner.export(tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    found = served.adapt_and_predict(x, LABELS, q, 3)["predictions"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # No steps are the nearest centroid.
    zero = served.adapt_and_predict(x, LABELS, q, 0)["predictions"]
    np.testing.assert_allclose(zero, learner.adapt(x, LABELS, steps=0)(q), rtol=1e-4, atol=1e-4)


def test_a_support_set_with_steps_starts_from_all_of_it() -> None:
    model = keras.Sequential([keras.Input((3,)), ClassMeanHead(3, "euclidean")])
    learner = learner_of(model, 2, 1e-9)
    stepped = (X.reshape(1, 2, 3, 3).astype("float32"), LABELS.reshape(1, 2, 3))
    task = Task(stepped, (QX[None].astype("float32"), QUERIES[None]))
    found = learner.predict_along(tf.data.Dataset.from_tensors(task))
    expected = logits(QX, centroids(X, LABELS, "euclidean"), "euclidean")
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_right_is_refused() -> None:
    plain = keras.Sequential([keras.Input((3,)), WarpDense(3), Dense(3)])
    with pytest.raises(ValueError, match="inner_steps must be"):
        learner_of(plain, 0)
    warped = body_and_head("cosine", warp=True)
    with pytest.raises(ValueError, match=r"looks ahead at every inner step.*BackpropThrough"):
        learner_of(warped, 0, objective=objectives.WarpGrad())
    with pytest.raises(ValueError, match="use OnlineMetaLearner"):
        warptf.OfflineMetaLearner(warped, SGD(0.1), 2)
    with pytest.raises(ValueError, match="distance must be one of"):
        ClassMeanHead(3, "manhattan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale must be above 0"):
        ClassMeanHead(3, scale=0.0)
