"""Images, ids and a number in, a class and a price out: through everything a learner does."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.inner_optimizers import SGD
from warptf.meta_learners.task_axes import inputs_of, leading_axes
from warptf.meta_learners.task_checks import check_support, check_task
from warptf.partition import input_spec, output_spec
from warptf.tasks import Task

INPUTS, OUTPUTS = ("image", "ids", "age"), ("kind", "price")
CROSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RATE = 0.1


def model(kind: str, warp: bool = True) -> keras.Model:
    """A model of three inputs of other ranks and types, and two outputs."""
    layers = keras.layers
    image = keras.Input((4, 4, 1), name="image")
    ids = keras.Input((None,), name="ids", dtype="int32")
    age = keras.Input((), name="age")
    seen = layers.Flatten()(layers.Conv2D(2, 3)(image))
    read = layers.GlobalAveragePooling1D()(layers.Embedding(5, 3, mask_zero=True)(ids))
    x = layers.Concatenate()([seen, read, layers.Reshape((1,))(age)])
    x = warptf.layers.WarpDense(4)(layers.Dense(4, "tanh")(x)) if warp else x
    outputs = layers.Dense(3, name="kind")(x), layers.Dense(1, name="price")(x)
    inputs = image, ids, age
    if kind == "dict":
        return keras.Model(
            dict(zip(INPUTS, inputs, strict=True)), dict(zip(OUTPUTS, outputs, strict=True))
        )
    return keras.Model(list(inputs), list(outputs))


def part(kind: str, *axes: int, seed: int = 0) -> tuple[Any, Any]:
    """Inputs and targets with some axes before the example's own."""
    random = np.random.default_rng(seed)
    x = {
        "image": random.normal(size=(*axes, 4, 4, 1)).astype("float32"),
        # The last one may be no word; of no words at all Keras has no mean.
        "ids": random.integers([1, 1, 0], 5, (*axes, 3)).astype("int32"),
        "age": random.normal(size=axes).astype("float32"),
    }
    y = {
        "kind": random.integers(0, 3, axes).astype("int32"),
        "price": random.normal(size=axes).astype("float32"),
    }
    return (x, y) if kind == "dict" else (tuple(x.values()), tuple(y.values()))


def compiled(learner: Any) -> Any:
    learner.compile(
        "sgd",
        {"kind": CROSS, "price": "mse"},
        {"kind": ["accuracy"], "price": ["mae"]},
        loss_weights={"kind": 1.0, "price": 0.5},
    )
    return learner


def one_batch(task: Task) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(task)


def first(structure: Any) -> Any:
    return tf.nest.map_structure(lambda t: t[0], structure)


def plainly_adapted(learner: Any, support: Any, steps: int, by_step: bool) -> keras.Model:
    """The model after plain Keras training, one batch after another."""
    copy = keras.models.clone_model(learner.model)
    copy.set_weights(learner.model.get_weights())
    for layer in copy.layers:
        layer.trainable = not isinstance(layer, warptf.WarpLayer)
    copy.compile(
        keras.optimizers.SGD(RATE),
        {"kind": CROSS, "price": "mse"},
        metrics={"kind": ["accuracy"], "price": ["mae"]},
        loss_weights={"kind": 1.0, "price": 0.5},
    )
    for k in range(steps):
        x, y = tf.nest.map_structure(lambda t, k=k: t[k], support) if by_step else support
        copy.train_on_batch(x, y)
    return copy


NAMES = ["kind_accuracy", "kind_loss", "loss", "price_loss", "price_mae"]


@pytest.mark.parametrize("kind", ["dict", pytest.param("list", marks=pytest.mark.slow)])
def test_a_life_of_a_learner(kind: str, tmp_path: Any) -> None:
    learner = compiled(
        warptf.OnlineMetaLearner(
            model(kind), SGD(RATE), 2, initialization=warptf.initializations.MAML()
        )
    )
    support, query = part(kind, 2, 2, 5), part(kind, 2, 6, seed=1)
    tasks = one_batch(Task(support, query))
    before = [v.numpy() for v in learner.model.trainable_variables]
    assert sorted(learner.fit(tasks, verbose=0).history) == NAMES
    moved = zip(before, learner.model.trainable_variables, strict=True)
    assert all(np.abs(old - new.numpy()).max() > 0 for old, new in moved)

    truth = [
        plainly_adapted(learner, tf.nest.map_structure(lambda v, t=t: v[t], support), 2, True)
        for t in range(2)
    ]
    scored = [
        plain.test_on_batch(*tf.nest.map_structure(lambda v, t=t: v[t], query), return_dict=True)
        for t, plain in enumerate(truth)
    ]
    each = learner.evaluate_tasks(tasks)
    logs = learner.evaluate(tasks, verbose=0, return_dict=True)
    for name in NAMES:
        wanted = [found[name] for found in scored]
        np.testing.assert_allclose(each[name], wanted, rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(logs[name], np.mean(wanted), rtol=1e-4, err_msg=name)
        assert each[f"support_{name}"].shape == (2, 2)
    along = learner.predict_along(tasks)
    for t, plain in enumerate(truth):
        wanted = plain(tf.nest.map_structure(lambda v, t=t: v[t], query[0]))
        for found, value in zip(tf.nest.flatten(along), tf.nest.flatten(wanted), strict=True):
            np.testing.assert_allclose(found[t, -1], value, rtol=1e-4, atol=1e-5)
    assert len(learner.trajectories(tasks)) == len(learner.partition.task_variables)

    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    np.testing.assert_allclose(
        loaded.evaluate(tasks, verbose=0), learner.evaluate(tasks, verbose=0), rtol=1e-6
    )
    served_as_adapted(kind, loaded, first(query), tmp_path)


def served_as_adapted(kind: str, learner: Any, own: Any, folder: Any) -> None:
    """Arrays of one's own: `adapt`, the SavedModel and plain Keras agree."""
    plain = plainly_adapted(learner, own, 3, False)
    adapted = learner.adapt(*own, steps=3)
    wanted = dict(zip(OUTPUTS, tf.nest.flatten(plain(own[0])), strict=True))
    found = dict(zip(OUTPUTS, tf.nest.flatten(adapted(own[0])), strict=True))
    learner.export(folder / "served")
    served = tf.saved_model.load(str(folder / "served"))
    tensors = tf.nest.map_structure(tf.constant, own)
    direct = served.adapt_and_predict(*tensors, tensors[0], 3)
    x, y = (tf.nest.flatten(part) for part in tensors)
    # Leaves come sorted where they have keys.
    inputs = sorted(INPUTS) if kind == "dict" else INPUTS
    outputs = sorted(OUTPUTS) if kind == "dict" else OUTPUTS
    named = {f"support_x_{n}": v for n, v in zip(inputs, x, strict=True)}
    named |= {f"query_x_{n}": v for n, v in zip(inputs, x, strict=True)}
    named |= {f"support_y_{n}": v for n, v in zip(outputs, y, strict=True)}
    by_name = served.signatures["adapt_and_predict"](**named, steps=tf.constant(3))
    served.adapt(*tensors, 3)
    kept = served.signatures["predict"](**dict(zip(inputs, x, strict=True)))
    for name, value in wanted.items():
        for answer in (found, direct, by_name, kept):
            np.testing.assert_allclose(answer[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["list", pytest.param("dict", marks=pytest.mark.slow)])
def test_the_offline_algorithm_replays_structures(kind: str) -> None:
    learner = compiled(warptf.OfflineMetaLearner(model(kind), SGD(RATE), 2))
    parts = [part(kind, 2, 2, 5, seed=i) for i in range(4)]
    task = Task(parts[0], parts[1], (parts[2], parts[3]))
    assert sorted(learner.fit(one_batch(task), verbose=0).history) == NAMES
    assert int(learner.optimizer.iterations) == 4


def test_a_stream_has_structures() -> None:
    learner = warptf.ContinualMetaLearner(
        model("dict"), warptf.objectives.WarpGrad("none"), warp_update_interval=1
    )
    learner.compile(
        keras.optimizers.SGD(0.0),
        {"kind": CROSS, "price": "mse"},
        {"kind": ["accuracy"], "price": ["mae"]},
        loss_weights={"kind": 1.0, "price": 0.5},
        task_optimizer=keras.optimizers.SGD(RATE),
    )
    support, query = part("dict", 1, 5), part("dict", 1, 6, seed=1)
    plain = plainly_adapted(learner, first(support), 1, False)
    history = learner.fit(one_batch(Task(support, query)), verbose=0).history
    assert sorted(history) == NAMES
    for own, theirs in zip(learner.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-4, atol=1e-6)
    scored = learner.evaluate(one_batch(Task(support, query)), verbose=0, return_dict=True)
    assert sorted(scored) == NAMES


def test_heads_of_several_outputs_are_named() -> None:
    arguments = (model("dict", warp=False), SGD(RATE), 2, 3)
    with pytest.raises(ValueError, match=r"2 outputs.*head=.*kind.*price"):
        warptf.MultiHeadFinetuning(*arguments)
    learner = compiled(warptf.MultiHeadFinetuning(*arguments, head="kind"))
    task = Task(part("dict", 2, 2, 5), part("dict", 2, 6), task_id=np.array([0, 2]))
    assert "loss" in learner.fit(one_batch(task), verbose=0).history


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dict", "list"])
def test_litert_takes_inputs_by_their_names(kind: str, tmp_path: Any) -> None:
    plain = model(kind)
    warptf.export_litert(plain, tmp_path / "model.tflite")
    interpreter = tf.lite.Interpreter(str(tmp_path / "model.tflite"))
    run = interpreter.get_signature_runner("predict")
    x, _ = part("dict", 1)
    found = run(**x)
    given = x if kind == "dict" else list(x.values())
    wanted = dict(zip(OUTPUTS, tf.nest.flatten(plain(given)), strict=True))
    assert set(found) == set(OUTPUTS)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)


def test_specs_are_structures_with_names() -> None:
    spec = input_spec(model("dict"))
    assert {key: (tuple(s.shape), s.dtype.name, s.name) for key, s in spec.items()} == {
        "image": ((None, 4, 4, 1), "float32", "image"),
        "ids": ((None, None), "int32", "ids"),
        "age": ((None,), "float32", "age"),
    }
    assert [s.name for s in output_spec(model("list"))] == list(OUTPUTS)
    one = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert input_spec(one) == tf.TensorSpec((None, 2), tf.float32)
    assert output_spec(one) == tf.TensorSpec((None, 1), tf.float32)


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_the_step_axis_is_one_for_all_inputs(kind: str) -> None:
    spec = input_spec(model(kind))
    for axes in ((5,), (2, 5), (2, 3, 5)):
        assert leading_axes(part(kind, *axes)[0], spec) == len(axes)
    # By the names of the inputs, in any order.
    x = dict(reversed(part("dict", 2, 5)[0].items()))
    assert [name for name, _, _ in inputs_of(x, spec)] == (
        sorted(INPUTS) if kind == "dict" else list(INPUTS)
    )
    assert leading_axes(x, spec) == 2


@pytest.mark.parametrize(
    ("shape", "own", "axes"),
    [
        ((2, 5, 1), (1,), 2),
        ((2, 5), (1,), 2),
        ((2, 3, 5), (1,), 3),
        ((2, 5, 1), (), 3),
        ((2, 5), (), 2),
        ((2, 5, 3), (3,), 2),
        ((2, 5, 7, 1), (7,), 2),
        ((2, 4, 5, 7), (7,), 3),
    ],
)
def test_an_axis_of_size_one_may_be_missing_as_in_keras(shape: Any, own: Any, axes: int) -> None:
    spec = tf.TensorSpec((None, *own), tf.float32)
    assert leading_axes(tf.TensorSpec(shape), spec) == axes


BAD: dict[str, tuple[Any, str]] = {
    "image": (lambda x: {**x, "image": x["image"][..., :3, :]}, r"\[T, B, .*'image': \(2, 5, 4, 3"),
    "missing": (lambda x: {k: v for k, v in x.items() if k != "ids"}, "must hold.*ids.*got"),
    "examples": (lambda x: {**x, "age": x["age"][:, :4]}, "inputs must agree.*'age': \\(2, 4\\)"),
    "steps": (lambda x: {**x, "image": x["image"][:, None]}, r"\[T, B, .*'image': \(2, 1, 5"),
}


@pytest.mark.parametrize("case", BAD)
def test_messages_name_the_input(case: str) -> None:
    change, message = BAD[case]
    x, y = part("dict", 2, 5)
    spec = input_spec(model("dict"))
    with pytest.raises(ValueError, match=message):
        check_task(Task((change(x), y), (x, y)), spec, 1, "training")


def test_messages_name_the_target() -> None:
    x, y = part("dict", 5)
    spec = input_spec(model("dict"))
    with pytest.raises(ValueError, match=r"same number of examples.*\(4,\)"):
        check_support(x, {**y, "price": y["price"][:4]}, spec)
    learner = compiled(warptf.OnlineMetaLearner(model("dict"), SGD(RATE), 1))
    with pytest.raises(ValueError, match=r"labels of 'kind' of the support set .*0\.\.2.* to 7"):
        learner.adapt(x, {**y, "kind": y["kind"] + 5})
    nan = {**x, "age": x["age"] * np.nan}
    with pytest.raises(ValueError, match="age of the support set holds NaN"):
        learner.adapt(nan, y)
