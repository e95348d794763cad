"""Algorithm 3 against its updates written out by hand, saved, resumed and on two replicas."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network

import warptf
from warptf.objectives import WarpGrad
from warptf.tasks import Task

ALPHA, BETA = 0.3, 0.05


@keras.saving.register_keras_serializable(package="tests")
class Bilinear(keras.Model):
    """The scalar learner theta phi x, whose gradients can be written out."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.task = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        self.warp = warptf.layers.WarpDense(1, use_bias=False, kernel_initializer="ones")
        self.build((None, 1))

    def build(self, input_shape) -> None:
        self.task.build((None, 1))
        self.warp.build((None, 1))
        self.built = True

    def call(self, inputs):
        return self.warp(self.task(inputs))


def half_squared(y: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.reduce_mean((y - prediction) ** 2, axis=-1)


def number(value: float) -> np.ndarray:
    return np.full((1, 1, 1), value, "float32")


def scalar_task(support: float, query: float) -> Task:
    one = number(1.0)
    return Task((one, number(support)), (one, number(query)))


def by_hand(second_order: bool, interval: int, data: list[tuple[float, float]]):
    """theta and phi after the stream, with L = (theta phi - y)² / 2 in numbers alone."""
    theta, phi, gathered = 1.0, 1.0, 0.0
    for step, (support, query) in enumerate(data, 1):
        before = theta
        theta = before - ALPHA * (before * phi - support) * phi
        residual = theta * phi - query
        gathered += residual * theta
        if second_order:
            # d/dphi of the inner gradient (theta phi - y) phi, times v = dL_meta/dtheta.
            gathered -= ALPHA * (2 * before * phi - support) * residual * phi
        if step % interval == 0:
            phi, gathered = phi - BETA * gathered / interval, 0.0
    return theta, phi


def compiled(model: keras.Model, **kwargs) -> warptf.ContinualMetaLearner:
    learner = warptf.ContinualMetaLearner(model, **kwargs)
    learner.compile(
        optimizer=keras.optimizers.SGD(BETA),
        task_optimizer=keras.optimizers.SGD(ALPHA),
        loss=half_squared,
    )
    return learner


STREAM = [(2.0, 3.0), (-1.0, 0.5), (0.5, 2.5), (2.5, -1.0), (1.0, 1.0), (-2.0, 3.0)]


@pytest.mark.parametrize("interval", [1, 2, 3])
@pytest.mark.parametrize("second_order", ["none", "finite_difference"])
def test_updates_are_those_of_algorithm_3(second_order: str, interval: int) -> None:
    learner = compiled(Bilinear(), objective=WarpGrad(second_order), warp_update_interval=interval)
    for support, query in STREAM:
        data = tf.data.Dataset.from_tensors(scalar_task(support, query))
        learner.fit(data, verbose=0)
    theta, phi = by_hand(second_order == "finite_difference", interval, STREAM)
    (own_theta,), (own_phi,) = learner.partition.task_variables, learner.partition.warp_variables
    assert float(own_theta.numpy().item()) == pytest.approx(theta, rel=2e-3)
    assert float(own_phi.numpy().item()) == pytest.approx(phi, rel=2e-3)
    # The two objectives can be told apart by this test.
    assert abs(by_hand(True, interval, STREAM)[1] - by_hand(False, interval, STREAM)[1]) > 0.02


def test_steps_within_one_call_are_the_same() -> None:
    learners = [compiled(Bilinear(), warp_update_interval=2) for _ in range(2)]
    data = as_data([scalar_task(*pair) for pair in STREAM[:4]])
    learners[1].compile(
        optimizer=keras.optimizers.SGD(BETA),
        task_optimizer=keras.optimizers.SGD(ALPHA),
        loss=half_squared,
        steps_per_execution=2,
    )
    for learner in learners:
        learner.fit(data, verbose=0)
    for a, b in zip(learners[0].weights, learners[1].weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def classifier(**kwargs) -> warptf.ContinualMetaLearner:
    learner = warptf.ContinualMetaLearner(network(), warp_update_interval=2, **kwargs)
    learner.compile(
        optimizer=keras.optimizers.Adam(0.01),
        task_optimizer=keras.optimizers.Adam(0.05),
        loss=cross_entropy(),
        metrics=["accuracy"],
    )
    return learner


def stream(count: int, start: int = 0, tasks: int = 2) -> tf.data.Dataset:
    batches = [
        classification_tasks(tasks, steps=None, seed=seed) for seed in range(start, start + count)
    ]
    return as_data(batches)


def as_data(batches: list[Task]) -> tf.data.Dataset:
    present = [(task.support, task.query) for task in batches]
    stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *present)
    return tf.data.Dataset.from_tensor_slices(stacked).map(Task)


def test_it_learns() -> None:
    learner = classifier()
    task = classification_tasks(steps=None)
    data = as_data([Task(task.support, task.support)])
    before = learner.evaluate(data, verbose=0, return_dict=True)
    learner.fit(data.repeat(60), verbose=0)
    after = learner.evaluate(data, verbose=0, return_dict=True)
    assert after["loss"] < before["loss"] - 0.1
    assert set(after) == {"loss", "accuracy"}


def test_a_saved_learner_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, first = classifier(), classifier()
    whole.fit(stream(5), verbose=0)
    # An odd number of steps: what is gathered for phi must be kept.
    first.fit(stream(3), verbose=0)
    first.save(tmp_path / "learner.keras")
    second = keras.models.load_model(tmp_path / "learner.keras")
    second.fit(stream(2, start=3), verbose=0)
    for a, b in zip(whole.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(whole.optimizer.variables, second.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("second_order", ["none", "finite_difference"])
def test_two_replicas_do_what_one_does(second_order: str) -> None:
    one = classifier(objective=WarpGrad(second_order))
    one.fit(stream(4, tasks=4), verbose=0)
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        two = classifier(objective=WarpGrad(second_order))
    two.fit(stream(4, tasks=4), verbose=0)
    tolerance = 1e-5 if second_order == "none" else 1e-3
    for a, b in zip(one.model.weights, two.model.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_xla_does_the_same() -> None:
    plain, compiled_by_xla = classifier(), classifier()
    compiled_by_xla.compile(
        optimizer=keras.optimizers.Adam(0.01),
        task_optimizer=keras.optimizers.Adam(0.05),
        loss=cross_entropy(),
        metrics=["accuracy"],
        jit_compile=True,
    )
    for learner in (plain, compiled_by_xla):
        learner.fit(stream(4), verbose=0)
    for a, b in zip(plain.weights, compiled_by_xla.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_without_objective_phi_stays() -> None:
    learner = classifier(objective=None)
    before = [v.numpy() for v in learner.partition.warp_variables]
    learner.fit(stream(4), verbose=0)
    for a, b in zip(before, learner.partition.warp_variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(objective=WarpGrad("exact")), ValueError, "differentiates inner steps twice"),
        (
            dict(model=network(warp=False), objective=WarpGrad("none")),
            ValueError,
            "no warp variables",
        ),
        (dict(warp_update_interval=0), ValueError, "warp_update_interval"),
        (dict(objective="warp"), TypeError, "objective"),
        (dict(model="model"), TypeError, "model"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        warptf.ContinualMetaLearner(**{"model": network(), **arguments})


def test_bad_data_are_refused_before_training() -> None:
    learner = classifier()
    with pytest.raises(TypeError, match=r"tf\.data\.Dataset"):
        learner.fit([1, 2])
    with pytest.raises(ValueError, match="step axis"):
        learner.fit(tf.data.Dataset.from_tensors(classification_tasks(steps=3, query_steps=3)))
    with pytest.raises(ValueError, match="has no end"):
        learner.fit(stream(1).repeat())
    task = classification_tasks(steps=None)
    task.support[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        learner.fit(tf.data.Dataset.from_tensors(task))
    with pytest.raises(ValueError, match="compile the meta-learner"):
        warptf.ContinualMetaLearner(network()).fit(stream(1))
