"""Tasks that are learned together learn what they do one after the other."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.devices import mirrored, policy
from meta_learners.problems import cross_entropy, network, stream, values

import warptf
from warptf.inner_optimizers import SGD
from warptf.objectives import WarpGrad

OTHER_WAY = "not together"


def online(model: keras.Model | None = None, **arguments: Any) -> warptf.OnlineMetaLearner:
    model = network() if model is None else model
    arguments = {"objective": WarpGrad("none"), **arguments}
    return warptf.OnlineMetaLearner(model, SGD(0.5), 2, **arguments)


def learned(learner: keras.Model, data: tf.data.Dataset, **options: Any) -> list[np.ndarray]:
    """All variables after meta-training, and what it reports last."""
    learner.compile("sgd", cross_entropy(), ["accuracy"], **options)
    history = learner.fit(data, verbose=0).history
    return [*values(learner), *(np.array(means[-1]) for means in history.values())]


def assert_same(
    make: Any, data: tf.data.Dataset, together: Any = True, rtol: float = 1e-5, **options: Any
) -> None:
    one, other = (
        learned(make(), data, vectorize_tasks=choice, **options) for choice in (False, together)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


def regularised() -> keras.Model:
    return network(batch_norm=True, dropout=0.4)


def test_dropout_batch_norm_and_parts_of_a_meta_batch() -> None:
    """The draws are those of each task, and the statistics; 3 tasks as 2 and 1."""
    assert_same(lambda: online(regularised()), stream(2, tasks=3, steps=2), together=2)


def smooth_images() -> keras.Model:
    """A learner of images without kinks: those of ReLU and of maxima magnify rounding."""
    keras.utils.set_random_seed(0)
    layers: list[Any] = [keras.Input((6, 6, 1))]
    for number in range(2):
        layers += [
            keras.layers.Conv2D(4, 3, padding="same"),
            warptf.layers.BatchNormalization() if number else keras.layers.BatchNormalization(),
            keras.layers.Activation("tanh"),
            keras.layers.AveragePooling2D(2),
            warptf.layers.WarpConv2D(4, 3),
        ]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(3)])


def images(tasks: int, steps: int) -> tf.data.Dataset:
    random = np.random.default_rng(0)

    def batch() -> tuple[np.ndarray, np.ndarray]:
        x = random.normal(size=(tasks, steps, 5, 6, 6, 1)).astype("float32")
        return x, random.integers(0, 3, x.shape[:3]).astype("int32")

    return tf.data.Dataset.from_tensors(warptf.tasks.Task(batch(), batch()))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        pytest.param({"objective": WarpGrad()}, marks=pytest.mark.slow),
        pytest.param({"initialization": warptf.initializations.MAML()}, marks=pytest.mark.slow),
        pytest.param({"initialization": warptf.initializations.Leap()}, marks=pytest.mark.slow),
    ],
    ids=["first order", "exact", "MAML", "Leap"],
)
def test_a_learner_of_images(parts: dict[str, Any]) -> None:
    assert_same(lambda: online(smooth_images(), **parts), images(3, 2), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, 1, 4])
def test_other_numbers_of_tasks_together(together: Any) -> None:
    assert_same(lambda: online(regularised()), stream(2, tasks=3, steps=2), together)


@pytest.mark.parametrize("together", [True, pytest.param(2, marks=pytest.mark.slow)])
def test_a_number_of_tasks_that_changes(together: Any) -> None:
    batches = stream(3, tasks=2, steps=2).unbatch().batch(4)
    assert batches.element_spec.support[0].shape[0] is None
    assert_same(lambda: online(regularised()), batches, together)


@pytest.mark.slow
def test_replicas_and_accumulation() -> None:
    data = stream(4, tasks=4, steps=2)
    alone = learned(
        online(regularised(), gradient_accumulation_steps=2), data, vectorize_tasks=False
    )
    with mirrored():
        both = learned(
            online(regularised(), gradient_accumulation_steps=2), data, vectorize_tasks=True
        )
    for a, b in zip(alone, both, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("half", "rtol"), [("float16", 0.02), ("bfloat16", 0.1)])
def test_half_precision(half: str, rtol: float) -> None:
    with policy(f"mixed_{half}"):
        assert_same(online, stream(2, tasks=3, steps=2), rtol=rtol)


@pytest.mark.slow
def test_xla_compiles_what_is_learned_together() -> None:
    for choice in (True, "tasks"):
        assert_same(online, stream(2, tasks=3, steps=2), jit_compile=choice)


def test_steps_replayed_together() -> None:
    def make() -> keras.Model:
        return warptf.OfflineMetaLearner(
            network(dropout=0.4), SGD(0.5), 2, WarpGrad("none"), replay_batch_size=2
        )

    assert_same(make, stream(2, tasks=2, steps=2))


@pytest.mark.parametrize(
    "along", [(), pytest.param(("predict_along", "trajectories"), marks=pytest.mark.slow)]
)
def test_each_task_is_scored_as_by_itself(along: tuple[str, ...]) -> None:
    data, scores = stream(1, tasks=3, steps=None), []
    for together in (False, True):
        learner = online(regularised())
        learner.compile("sgd", cross_entropy(), ["accuracy"], vectorize_tasks=together)
        scores.append(
            [
                learner.evaluate(data, verbose=0, return_dict=True),
                learner.evaluate_tasks(data),
                *(getattr(learner, name)(data) for name in along),
            ]
        )
    for a, b in zip(*map(tf.nest.flatten, scores), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Unforeseeable(keras.layers.Layer):
    """A layer with an operation that has no form for several tasks."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + 0.0 * tf.stop_gradient(tf.linalg.svd(inputs, compute_uv=False)[0])


def with_a_layer(layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(3)(layer(keras.layers.Dense(4)(inputs))))


def test_what_cannot_be_learned_together_is_named_and_learned_in_turns() -> None:
    def make() -> keras.Model:
        keras.utils.set_random_seed(0)
        model = with_a_layer(Unforeseeable(name="unforeseeable"))
        return online(model, objective=None, initialization=warptf.initializations.Reptile())

    data = stream(1, tasks=3, steps=2)
    expected = learned(make(), data, vectorize_tasks=False)
    with pytest.warns(UserWarning, match="operation Svd of '.*unforeseeable.*Svd' has no") as seen:
        found = learned(make(), data, vectorize_tasks=True)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all("\n" not in str(each.message) for each in seen)


def test_steps_on_disk_and_eager_steps_are_in_turns() -> None:
    def offline() -> keras.Model:
        return warptf.OfflineMetaLearner(
            network(), SGD(0.5), 2, WarpGrad("none"), replay_storage="disk"
        )

    data = stream(1, tasks=2, steps=2)
    for make, options, named in (
        (offline, {}, "operation PyFunc"),
        (online, {"run_eagerly": True}, "operation run_eagerly"),
    ):
        with pytest.warns(UserWarning, match=f"{OTHER_WAY}.*{named}"):
            learned(make(), data, vectorize_tasks=True, **options)


def test_by_default_tasks_are_together_where_a_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = online()
    learner.compile("sgd", cross_entropy())
    assert not learner._mapping.together
    listed = tf.config.list_logical_devices
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind=None: listed("CPU" if kind else None)
    )
    assert learner._mapping.together


def test_the_choice_is_saved_and_files_without_one_load(tmp_path: Path) -> None:
    learner = online()
    learner.compile("sgd", cross_entropy(), vectorize_tasks=3)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded._mapping.vectorize == 3
    config = learner.get_compile_config()
    del config["vectorize_tasks"]
    loaded.compile_from_config(config)
    assert loaded._mapping.vectorize == "auto"


@pytest.mark.parametrize("choice", ["yes", 0, -2, 1.5, None])
def test_other_choices_are_refused(choice: Any) -> None:
    learners = (online(), warptf.ContinualMetaLearner(network()))
    for learner in learners:
        with pytest.raises(ValueError, match='vectorize_tasks must be True, False, "auto" or a'):
            learner.compile("sgd", cross_entropy(), vectorize_tasks=choice)
