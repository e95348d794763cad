"""LiteRT files predict what the adapted Keras models do, in an interpreter of their own."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import test_copying
from ai_edge_litert.interpreter import Interpreter
from meta_learners.problems import classification_tasks, cross_entropy, network
from reinforcement.cells import agent_of

import warptf
from warptf import models, reinforcement
from warptf.partition import input_spec, iterate_layers

AFFINE = {"MUL", "ADD"}
LEARNERS: dict[str, Any] = {
    "multi-shot": lambda: models.multi_shot_learner(ways=5, filters=4),
    "multi-shot, residual": lambda: models.multi_shot_learner(5, 4, "two-layer-film"),
    "four blocks": lambda: models.few_shot_learner(5, 4, input_shape=(28, 28, 1)),
    "four blocks, strided": lambda: models.few_shot_learner(
        5, 4, "none", (28, 28, 1), downsampling="stride"
    ),
    "four blocks, bn": lambda: models.few_shot_learner(5, 4, "conv-bn-res-relu", (28, 28, 1)),
    "six blocks": lambda: models.six_block_learner(5, filters=[4] * 6, input_shape=(32, 32, 3)),
    "ResNet-12": lambda: models.resnet12_learner(5, filters=(2, 2, 2, 2), input_shape=(16, 16, 3)),
    "sine": lambda: models.sine_learner(units=8, warp_units=4),
}
# Batch norm within a warp stands before a padded convolution or behind a sum.
KEEP_AFFINE = {"multi-shot, residual", "four blocks, bn"}


def adapted(name: str, signs: bool = True) -> keras.Model:
    """A learner whose every batch norm does something, some channels with a negative scale."""
    model, draw = LEARNERS[name](), np.random.default_rng(0)
    for _, layer in iterate_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            gamma = draw.normal(size=size)
            layer.gamma.assign(gamma if signs else np.abs(gamma))
            layer.beta.assign(draw.normal(size=size))
            layer.moving_mean.assign(draw.normal(scale=0.3, size=size))
            layer.moving_variance.assign(draw.uniform(0.5, 2, size=size))
    return model


def inputs_of(model: keras.Model, count: int = 20) -> np.ndarray:
    shape = input_spec(model).shape[1:]
    return np.random.default_rng(1).random((count, *shape), "float32")


def exported(model: keras.Model, folder: Path, *arguments: Any) -> Interpreter:
    warptf.export_litert(model, folder / "learner.tflite", *arguments)
    assert [path.name for path in folder.iterdir()] == ["learner.tflite"]
    return Interpreter(str(folder / "learner.tflite"))


def operations(interpreter: Interpreter) -> list[str]:
    return [details["op_name"] for details in interpreter._get_ops_details()]


@pytest.mark.parametrize("name", LEARNERS)
def test_floats_predict_what_the_model_does(name: str, tmp_path: Path) -> None:
    model = adapted(name)
    interpreter = exported(model, tmp_path)
    assert not [op for op in operations(interpreter) if op.startswith("Flex") or "VAR" in op]
    predict = interpreter.get_signature_runner("predict")
    for count in (20, 1, 3):
        x = inputs_of(model, count)
        expected = model(x, training=False).numpy()
        found = predict(x=x)["predictions"]
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "sine"])
def test_batch_norm_is_folded(name: str, tmp_path: Path) -> None:
    left = operations(exported(adapted(name, signs=False), tmp_path))
    sums = 4 if name == "ResNet-12" else 0
    assert (len(AFFINE & set(left)) == 2) == (name in KEEP_AFFINE)
    if name not in KEEP_AFFINE:
        assert "MUL" not in left and left.count("ADD") == sums


def test_signs_alone_stay_behind_pooling(tmp_path: Path) -> None:
    left = operations(exported(adapted("multi-shot"), tmp_path))
    assert left.count("MUL") == 4 and "ADD" not in left


@pytest.mark.parametrize("settings", [{"scale": False}, {"center": False}, {}])
@pytest.mark.parametrize("sequential", [False, True])
def test_any_pooled_norm_folds(settings: dict, sequential: bool, tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(3, 3, padding="same", activation="tanh"),
            keras.layers.MaxPooling2D(3, 2, padding="same"),
            keras.layers.BatchNormalization(**settings),
            keras.layers.Flatten(),
        ]
    )
    norm, draw = model.layers[2], np.random.default_rng(0)
    norm.set_weights([draw.uniform(-2, 2, w.shape) if i < 2 else draw.uniform(0.5, 2, w.shape)
                      for i, w in enumerate(norm.get_weights())])  # fmt: skip
    if not sequential:
        model = keras.Model(model.inputs[0], model.outputs[0])
    before = [np.array(w) for w in model.get_weights()]
    x = np.random.default_rng(1).normal(size=(3, 8, 8, 2)).astype("float32")
    found = exported(model, tmp_path).get_signature_runner("predict")(x=x)["predictions"]
    np.testing.assert_allclose(found, model(x, training=False), atol=1e-5)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_pooling_that_others_read_is_kept(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 1))
    pooled = keras.layers.MaxPooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    norm = keras.layers.BatchNormalization()
    model = keras.Model(inputs, keras.layers.Add()([pooled, norm(pooled)]))
    norm.gamma.assign([-1.0, 2.0])
    x = inputs_of(model)
    found = exported(model, tmp_path).get_signature_runner("predict")(x=x)["predictions"]
    np.testing.assert_allclose(found, model(x, training=False), atol=1e-5)


class Doubled(keras.Model):
    """A class that computes something else than its graph."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return 2 * super().call(inputs, training=training)


def test_a_class_of_its_own_keeps_its_call(tmp_path: Path) -> None:
    inputs = keras.Input((3,))
    model = Doubled(inputs, keras.layers.Dense(2)(inputs))
    x = inputs_of(model)
    found = exported(model, tmp_path).get_signature_runner("predict")(x=x)["predictions"]
    np.testing.assert_allclose(found, model(x), atol=1e-5)


def test_what_adapt_returns_is_exported(tmp_path: Path) -> None:
    plain = network(warp=True, batch_norm=True)
    learner = warptf.WarpMAML(plain, warptf.inner_optimizers.SGD(0.5), 3)
    learner.compile("sgd", cross_entropy())
    task = classification_tasks(1, None, batch=7)
    x, y, query = task.support[0][0], task.support[1][0], task.query[0][0]
    model = learner.adapt(x, y)
    predict = exported(model, tmp_path).get_signature_runner("predict")
    found = predict(x=np.asarray(query))["predictions"]
    np.testing.assert_allclose(found, model(query, training=False), atol=1e-5)
    assert np.abs(found - learner(query)).max() > 1e-2


@pytest.mark.parametrize("name", ["multi-shot", "ResNet-12", "sine"])
def test_integers_predict_about_the_same(name: str, tmp_path: Path) -> None:
    model = adapted(name)
    x = inputs_of(model, 40)
    predict = exported(model, tmp_path, "int8", x).get_signature_runner("predict")
    found, expected = predict(x=x)["predictions"], model(x, training=False).numpy()
    assert found.dtype == np.float32
    # Integers of 8 bits resolve a 256th of a layer's range; errors of the layers add up.
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    assert np.mean(found.argmax(-1) == expected.argmax(-1)) >= 0.8


def test_integers_take_less_room(tmp_path: Path) -> None:
    model = models.few_shot_learner(5, 32, input_shape=(28, 28, 1))
    sizes = {}
    for kind, examples in (("float32", None), ("int8", inputs_of(model, 2))):
        warptf.export_litert(model, tmp_path / kind, kind, examples)
        sizes[kind] = (tmp_path / kind).stat().st_size
    assert 4 * model.count_params() < sizes["float32"] < 4 * model.count_params() + 10_000
    assert sizes["int8"] < 0.5 * sizes["float32"]


@pytest.mark.parametrize("quantization", ["float32", "int8"])
@pytest.mark.parametrize("name", ["rnn", "warp-rnn", "hebb-rnn", "gru"])
def test_an_agent_takes_steps(name: str, quantization: str, tmp_path: Path) -> None:
    cells = {
        "rnn": lambda: reinforcement.RNNCell(5),
        "warp-rnn": lambda: reinforcement.WarpRNNCell(5, 4),
        "hebb-rnn": lambda: reinforcement.HebbianRNNCell(5),
        "gru": lambda: keras.layers.GRUCell(5),
    }
    keras.utils.set_random_seed(0)
    agent = agent_of(cells[name]())
    observations = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    arguments = (quantization, observations) if quantization == "int8" else ()
    act = exported(agent, tmp_path, *arguments).get_signature_runner("act")
    states = {f"state_{i}": np.asarray(s) for i, s in enumerate(agent.initial_states(3))}
    expected, values = (np.asarray(part) for part in agent(observations))
    for t in range(4):
        out = act(observation=observations[:, t], **states)
        states = {key: out[key] for key in states}
        bound = 1e-5 if quantization == "float32" else 0.1 * np.ptp(expected)
        np.testing.assert_allclose(out["logits"], expected[:, t], atol=bound)
        assert quantization == "int8" or np.allclose(out["value"], values[:, t], atol=1e-5)
        assert (out["action"] == out["logits"].argmax(-1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("float16",), "quantization must be 'float32' or 'int8', got 'float16'"),
        (("int8",), "pass representative=x_support"),
        (("int8", np.ones((3, 4))), r"representative must have the shape \(None, 2\)"),
        (("int8", np.ones((0, 2))), "hold at least one"),
        (("int8", np.full((1, 2), np.nan)), "not finite"),
        (("float32", np.ones((3, 2))), "are for quantization='int8': leave them out"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        warptf.export_litert(network(), tmp_path / "learner.tflite", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "learner.tflite").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already: name a new file"):
        warptf.export_litert(network(), tmp_path / "learner.tflite")
    assert (tmp_path / "learner.tflite").read_text() == "mine"


def test_nothing_is_left_where_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: Path, content: bytes) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space left"):
        warptf.export_litert(network(), tmp_path / "learner.tflite")
    assert not list(tmp_path.iterdir())


class Determinant(keras.layers.Layer):
    """An operation that LiteRT lacks."""

    def call(self, inputs: Any) -> Any:
        return tf.linalg.det(inputs)


def test_operations_that_are_lacking_leave_no_file(tmp_path: Path) -> None:
    inputs = keras.Input((3, 3))
    model = keras.Model(inputs, Determinant()(keras.layers.Dense(3)(inputs)))
    message = "^model .* cannot be written as a LiteRT file: LiteRT has no operations MatrixDeter.*"
    with pytest.raises(ValueError, match=message + r"Instead, export a SavedModel.*\.$"):
        warptf.export_litert(model, tmp_path / "learner.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("of_numbers", "HashTableV2"), pytest.param("of_words", "String", marks=pytest.mark.slow)],
)
def test_layers_that_look_up_are_named(name: str, lacks: str, tmp_path: Path) -> None:
    model, _ = getattr(test_copying, name)()
    layers = [layer.name for _, layer in iterate_layers(model)]
    with pytest.raises(ValueError, match=f"LiteRT has no operations .*{lacks}") as error:
        warptf.export_litert(model, tmp_path / "learner.tflite")
    kinds = ("integer_lookup", "string_lookup", "text_vectorization")
    named = [layer for layer in layers if layer.startswith(kinds)]
    assert named and all(layer in str(error.value) for layer in named)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    assert not list(tmp_path.iterdir())
