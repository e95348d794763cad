"""Every layer under every way of running and storing a model."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.layer import Example, batch, layer_examples, randomise

from warptf.partition import FunctionalLearner, partition

ROOT = Path(__file__).parents[2]
EXAMPLES = [pytest.param(example, id=name) for name, example in layer_examples().items()]
every_layer = pytest.mark.parametrize("example", EXAMPLES)


def learner_model(example: Example, **kwargs: Any) -> keras.Model:
    """The layer between two task layers."""
    inputs = keras.Input(example.input_shape)
    scaled = keras.layers.Dense(example.input_shape[-1], name="below", **kwargs)(inputs)
    warped = example.make(name="checked", **kwargs)(scaled)
    flat = keras.layers.Flatten()(warped)
    model = keras.Model(inputs, keras.layers.Dense(2, name="above", **kwargs)(flat))
    randomise(model)
    return model


def squared_error(model: keras.Model, x: np.ndarray) -> Any:
    """A function of theta, phi: one inner step of gradient descent, then the loss."""
    learner = FunctionalLearner(model)
    state = learner.initial_state(tf.constant([0, 0]))

    def loss(theta: list[tf.Tensor], phi: list[tf.Tensor]) -> tf.Tensor:
        output = learner(theta, phi, state, x, training=True).predictions
        return tf.reduce_mean(tf.square(tf.cast(output, tf.float32) - 1.0))

    def adapted_gradient() -> list[tf.Tensor]:
        theta, phi = learner.initial_theta(), learner.warp_values()
        with tf.GradientTape() as outer:
            outer.watch([*theta, *phi])
            with tf.GradientTape() as tape:
                tape.watch(theta)
                value = loss(theta, phi)
            gradients = tape.gradient(value, theta, unconnected_gradients="zero")
            stepped = [t - 0.01 * g for t, g in zip(theta, gradients, strict=True)]
            value = loss(stepped, phi)
        return outer.gradient(value, [*theta, *phi], unconnected_gradients="zero")

    return adapted_gradient


@every_layer
def test_keras_file(example: Example, tmp_path: Path) -> None:
    model, x = learner_model(example), batch(example.input_shape)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    for kind, variables in vars(partition(model)).items():
        again = getattr(partition(loaded), kind)
        assert [v.name for v in again] == [v.name for v in variables]


@every_layer
def test_saved_model(example: Example, tmp_path: Path) -> None:
    model, x = learner_model(example), batch(example.input_shape)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(x), model(x), rtol=1e-5, atol=1e-6)


@every_layer
def test_graph_gives_the_gradients_of_eager_mode(example: Example) -> None:
    gradient = squared_error(learner_model(example), batch(example.input_shape))
    for eager, graph in zip(gradient(), tf.function(gradient)(), strict=True):
        np.testing.assert_allclose(graph, eager, rtol=1e-3, atol=1e-4)


@every_layer
def test_compiled_by_xla(example: Example) -> None:
    model, x = learner_model(example), batch(example.input_shape)
    compiled = tf.function(lambda inputs: model(inputs), jit_compile=True)
    np.testing.assert_allclose(compiled(x), model(x), rtol=1e-4, atol=1e-4)


@every_layer
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_has_gradients_in_single_precision(example: Example, policy: str) -> None:
    model = learner_model(example, dtype=policy)
    gradients = tf.function(squared_error(model, batch(example.input_shape)))()
    assert {g.dtype for g in gradients} == {tf.float32}
    assert all(np.all(np.isfinite(g)) for g in gradients)
    assert any(np.any(g) for g in gradients)


@pytest.fixture(scope="module")
def mirrored() -> tf.distribute.Strategy:
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2, "tests/conftest.py configures two logical devices"
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@every_layer
def test_two_replicas_give_the_gradients_of_one(
    example: Example, mirrored: tf.distribute.Strategy
) -> None:
    x = batch(example.input_shape)
    expected = squared_error(model := learner_model(example), x)()
    with mirrored.scope():
        replicated = learner_model(example)
        replicated.set_weights(model.get_weights())

    @tf.function(autograph=False)
    def step() -> Any:
        return mirrored.run(squared_error(replicated, x))

    for one, both in zip(expected, step(), strict=True):
        for value in mirrored.experimental_local_results(both):
            np.testing.assert_allclose(value, one, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module of a user of the library, with a warp layer of their own."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "their_layers.py").write_text(
        textwrap.dedent(
            """
            import warptf

            class Shift(warptf.WarpLayer):
                def build(self, input_shape):
                    self.shift = self.add_weight(shape=(input_shape[-1],), initializer="ones")

                def call(self, inputs):
                    return inputs + self.shift
            """
        )
    )
    return folder


def test_another_process_loads_every_layer_without_custom_objects(
    user_module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(user_module)
    from their_layers import Shift

    theirs = Example(Shift, (3,))
    examples = {**layer_examples(), "their_layers": theirs}
    for name, example in examples.items():
        model = learner_model(example)
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.x.npy", batch(example.input_shape))
        np.save(tmp_path / f"{name}.y.npy", model(batch(example.input_shape)))
        np.save(tmp_path / f"{name}.warp.npy", len(partition(model).warp_variables))
    script = """
        import pathlib, sys
        import keras, numpy as np, their_layers, warptf

        for file in pathlib.Path(sys.argv[1]).glob("*.keras"):
            model = keras.models.load_model(file)
            stored = {k: np.load(file.with_suffix(f".{k}.npy")) for k in ("x", "y", "warp")}
            np.testing.assert_allclose(model(stored["x"]), stored["y"], rtol=1e-6, atol=1e-6)
            assert len(warptf.partition(model).warp_variables) == stored["warp"], file
            print(file.stem)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT}:{user_module}", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(examples)
