"""What is asked of a layer in each column of the matrix."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from conformance.comparison import relative_difference
from conformance.devices import mirrored
from contracts.layer import Example, batch, randomise

from warptf.partition import FunctionalLearner, partition
from warptf.vectorized import vectorized_map


def learner_model(example: Example, **kwargs: Any) -> keras.Model:
    """The layer between two task layers, with the same weights each time."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input(example.input_shape)
    scaled = keras.layers.Dense(example.input_shape[-1], name="below", **kwargs)(inputs)
    warped = example.make(name="checked", **kwargs)(scaled)
    flat = keras.layers.Flatten()(warped)
    model = keras.Model(inputs, keras.layers.Dense(2, name="above", **kwargs)(flat))
    randomise(model)
    return model


def adapted_gradient(model: keras.Model, x: np.ndarray) -> Any:
    """A function that returns the gradient of the loss after one inner step, in all weights."""
    learner = FunctionalLearner(model)
    state = learner.initial_state(tf.constant([0, 0]))

    def loss(theta: list[tf.Tensor], phi: list[tf.Tensor]) -> tf.Tensor:
        output = learner(theta, phi, state, x, training=True).predictions
        return tf.reduce_mean(tf.square(tf.cast(output, tf.float32) - 1.0))

    def gradient(theta: list[tf.Tensor] | None = None) -> list[tf.Tensor]:
        theta = learner.initial_theta() if theta is None else theta
        phi = learner.warp_values()
        with tf.GradientTape() as outer:
            outer.watch([*theta, *phi])
            with tf.GradientTape() as tape:
                tape.watch(theta)
                value = loss(theta, phi)
            gradients = tape.gradient(value, theta, unconnected_gradients="zero")
            stepped = [t - 0.01 * g for t, g in zip(theta, gradients, strict=True)]
            value = loss(stepped, phi)
        return outer.gradient(value, [*theta, *phi], unconnected_gradients="zero")

    return gradient


def assert_same(gradient: Any, expected: Any) -> None:
    for one, other in zip(gradient, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def check_keras_file(example: Example, folder: Path) -> None:
    """The loaded model computes the same, to the bit, and its weights play the same parts."""
    model, x = learner_model(example), batch(example.input_shape)
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    for kind, variables in vars(partition(model)).items():
        again = getattr(partition(loaded), kind)
        assert [v.name for v in again] == [v.name for v in variables]


def check_saved_model(example: Example, folder: Path) -> None:
    """The SavedModel computes the same."""
    model, x = learner_model(example), batch(example.input_shape)
    model.export(folder / "served", verbose=False)
    served = tf.saved_model.load(folder / "served")
    np.testing.assert_allclose(served.serve(x), model(x), rtol=1e-6, atol=1e-6)


def check_graph(example: Example, folder: Path) -> None:
    """A graph gives the gradients of eager mode, through an inner step."""
    gradient = adapted_gradient(learner_model(example), batch(example.input_shape))
    assert_same(tf.function(gradient)(), gradient())


def check_xla(example: Example, folder: Path) -> None:
    """Compiled by XLA, outputs and gradients through an inner step are the same."""
    model, x = learner_model(example), batch(example.input_shape)
    compiled = tf.function(lambda inputs: model(inputs), jit_compile=True)
    np.testing.assert_allclose(compiled(x), model(x), rtol=1e-4, atol=1e-4)
    gradient = adapted_gradient(model, x)
    assert_same(tf.function(gradient, jit_compile=True)(), tf.function(gradient)())


def check_mirrored(example: Example, folder: Path) -> None:
    """Each of two replicas computes the gradients that one device does."""
    x = batch(example.input_shape)
    expected = adapted_gradient(learner_model(example), x)()
    with mirrored() as strategy:
        replicated = learner_model(example)

    @tf.function(autograph=False)
    def step() -> Any:
        return strategy.run(adapted_gradient(replicated, x))

    for one, both in zip(expected, step(), strict=True):
        values = strategy.experimental_local_results(both)
        assert len(values) == 2
        for value in values:
            np.testing.assert_allclose(value, one, rtol=1e-3, atol=1e-4)


def check_mixed_bfloat16(example: Example, folder: Path) -> None:
    """Half precision with the range of single precision."""
    # Numbers of eight bits are off by up to 2^-9, and some twenty such roundings add up to about a
    # per cent, a few where a maximum or a kink comes out on the other side; a wrong or a missing
    # term would make tens.
    check_mixed(example, "bfloat16", 0.05)


def check_mixed_float16(example: Example, folder: Path) -> None:
    """Half precision with eleven bits, an eighth of those errors."""
    check_mixed(example, "float16", 0.01)


def check_mixed(example: Example, compute: str, tolerance: float) -> None:
    """Outputs in half precision; gradients in single precision, near those without."""
    x = batch(example.input_shape)
    model, single = learner_model(example, dtype=f"mixed_{compute}"), learner_model(example)
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert model(x).dtype == compute
    gradients = tf.function(adapted_gradient(model, x))()
    assert {g.dtype for g in gradients} == {tf.float32}
    assert all(np.all(np.isfinite(g)) for g in gradients)
    apart = relative_difference(gradients, tf.function(adapted_gradient(single, x))())
    assert apart < tolerance, f"the gradient differs by {apart:.1%}"


def check_vectorised(example: Example, folder: Path) -> None:
    """Computed for three tasks at once, gradients are those of each task's own weights."""
    model = learner_model(example)
    gradient = adapted_gradient(model, batch(example.input_shape))
    theta = FunctionalLearner(model).initial_theta()
    of_tasks = [t * tf.reshape([1.0, 0.9, 1.2], [-1, *[1] * len(t.shape)]) for t in theta]
    signature = [tf.TensorSpec(g.shape, g.dtype) for g in tf.function(gradient)()]

    @tf.function(autograph=False)
    def at_once() -> list[tf.Tensor]:
        return vectorized_map(gradient, of_tasks, 3, signature)

    found = at_once()
    for task in range(3):
        assert_same([g[task] for g in found], gradient([t[task] for t in of_tasks]))


CHECKS = {
    ".keras": check_keras_file,
    "SavedModel": check_saved_model,
    "tf.function": check_graph,
    "XLA": check_xla,
    "mirrored ×2": check_mirrored,
    "mixed_bfloat16": check_mixed_bfloat16,
    "mixed_float16": check_mixed_float16,
    "vectorised": check_vectorised,
}
