"""What every layer of the library must satisfy, and an example or more of each layer."""

import inspect
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from warptf import layers
from warptf.partition import FunctionalLearner, iterate_layers, partition

Factory = Callable[..., keras.layers.Layer]


class Example(NamedTuple):
    """A way to make a layer, `make(dtype=...)`, and the input it takes, without the batch axis."""

    make: Factory
    input_shape: tuple[int, ...]


IMAGE, VECTOR, SEQUENCE = (4, 5, 3), (3,), (4, 3)


def _cell(**kwargs: Any) -> keras.layers.Layer:
    return keras.layers.RNN(layers.WarpLSTMCell(2, **kwargs), **kwargs)


# Layers that need arguments, or are worth checking in several configurations. A layer that is not
# listed is made without arguments.
EXAMPLES: dict[str, dict[str, Example]] = {
    "WarpDense": {
        "tanh": Example(lambda **k: layers.WarpDense(2, activation="tanh", **k), VECTOR),
        "sequence": Example(lambda **k: layers.WarpDense(use_bias=False, **k), SEQUENCE),
    },
    "WarpConv2D": {
        "norm": Example(
            lambda **k: layers.WarpConv2D(
                2, (1, 3), activation="tanh", batch_normalization=True, **k
            ),
            IMAGE,
        ),
    },
    "WarpResidualConv2D": {
        "one": Example(lambda **k: layers.WarpResidualConv2D(activation="tanh", **k), IMAGE),
        "two": Example(
            lambda **k: layers.WarpResidualConv2D(2, blocks=2, hidden_filters=4, **k), IMAGE
        ),
        "film": Example(
            lambda **k: layers.WarpResidualConv2D(
                blocks=2, hidden_filters=4, task_embedding=True, **k
            ),
            IMAGE,
        ),
    },
    "WarpResidualDense": {"small": Example(lambda **k: layers.WarpResidualDense(4, **k), VECTOR)},
    "WarpLSTMCell": {"rnn": Example(_cell, SEQUENCE)},
    "Warp": {
        "dense": Example(lambda **k: layers.Warp(keras.layers.Dense(2, **k)), VECTOR),
        "lstm": Example(
            lambda **k: layers.Warp(keras.layers.LSTM(2, use_cudnn=False, **k)), SEQUENCE
        ),
        "norm": Example(lambda **k: layers.Warp(keras.layers.BatchNormalization(**k)), VECTOR),
    },
    "ClassMeanHead": {
        "cosine": Example(lambda **k: layers.ClassMeanHead(3, **k), VECTOR),
        "euclidean": Example(lambda **k: layers.ClassMeanHead(3, "euclidean", **k), VECTOR),
    },
    "ContextFiLM": {
        "image": Example(lambda **k: layers.ContextFiLM(2, "he_normal", **k), IMAGE),
        "sequence": Example(lambda **k: layers.ContextFiLM(4, **k), SEQUENCE),
    },
    "FiLMTaskEmbedding": {
        "initialised": Example(lambda **k: layers.FiLMTaskEmbedding(context=False, **k), VECTOR)
    },
}
BASES = {"WarpLayer", "TaskLayer", "SupportInitializedLayer"}


def layer_examples() -> dict[str, Example]:
    """Every public layer of the library, by discovery, in each of its example configurations."""
    found: dict[str, Example] = {}
    for name in sorted(set(layers.__all__) - BASES):
        cls = getattr(layers, name)
        if not issubclass(cls, (layers.WarpLayer, layers.TaskLayer)):
            continue
        given = dict(EXAMPLES.get(name, {}))
        required = [
            p
            for p in list(inspect.signature(cls.__init__).parameters.values())[1:]
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        if not required:
            spec = cls().input_spec
            given["default"] = Example(cls, IMAGE if spec and spec.ndim == 4 else VECTOR)
        assert given, f"add an example of {name}, which needs arguments, to EXAMPLES"
        found |= {f"{name}-{case}": example for case, example in given.items()}
    return found


def check_warp_layer(factory: Factory, input_shape: tuple[int, ...]) -> None:
    """Checks a warp or task layer.

    Args:
        factory: makes the layer; takes the arguments of `keras.layers.Layer` that it is given.
        input_shape: shape of its input without the batch axis.
    """
    check_output_shape(factory, input_shape)
    check_variables_in_right_part(factory, input_shape)
    check_deterministic(factory, input_shape)
    check_serialisation(factory, input_shape)
    check_gradients(factory, input_shape)
    for policy in ("mixed_bfloat16", "mixed_float16", "float64"):
        check_dtype_policy(factory, input_shape, policy)


def batch(input_shape: tuple[int, ...], dtype: str = "float32", size: int = 4) -> np.ndarray:
    """A fixed random input of a layer."""
    return np.random.default_rng(0).normal(size=(size, *input_shape)).astype(dtype)


def randomise(layer: keras.layers.Layer, seed: int = 1) -> None:
    """Moves all trainable weights away from special values such as zero scales."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))


def wrapped(factory: Factory, input_shape: tuple[int, ...], dtype: str = "float32") -> keras.Model:
    """The layer alone in a model."""
    inputs = keras.Input(input_shape, dtype=dtype)
    model = keras.Model(inputs, factory(dtype=dtype)(inputs))
    randomise(model)
    return model


def check_output_shape(factory: Factory, input_shape: tuple[int, ...]) -> None:
    """The shape is computed right, for known and unknown batch sizes."""
    layer, x = factory(), batch(input_shape)
    assert tuple(layer.compute_output_shape(x.shape)) == tuple(layer(x).shape)
    symbolic = factory()(keras.Input(input_shape))
    assert symbolic.shape == tuple(factory().compute_output_shape((None, *input_shape)))


def check_variables_in_right_part(factory: Factory, input_shape: tuple[int, ...]) -> None:
    """Weights are warp parameters, but those under a task layer, which are task state."""
    model = wrapped(factory, input_shape)
    task = [layer for _, layer in iterate_layers(model) if isinstance(layer, layers.TaskLayer)]
    nested = {id(v): layer.context for layer in task for v in layer.trainable_variables}
    parts = partition(model)
    for variable in model.trainable_variables:
        expected = {
            None: parts.warp_variables,
            True: parts.context_variables,
            False: parts.task_variables,
        }[nested.get(id(variable))]
        assert any(variable is v for v in expected), variable.path
    lists = (parts.task_variables, parts.context_variables, parts.warp_variables)
    assert sum(map(len, lists)) == len(model.trainable_variables)


def check_deterministic(factory: Factory, input_shape: tuple[int, ...]) -> None:
    """The same call gives the same output; without `training`, that of inference."""
    model, x = wrapped(factory, input_shape), batch(input_shape)
    np.testing.assert_array_equal(model(x), model(x))
    np.testing.assert_array_equal(model(x), model(x, training=False))


def check_serialisation(factory: Factory, input_shape: tuple[int, ...]) -> None:
    """The configuration survives JSON, and the layer made from it computes the same."""
    layer, x = factory(name="somewhat"), batch(input_shape)
    layer(x)
    randomise(layer)
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(stored)
    assert copy.name == layer.name and type(copy) is type(layer)
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
    assert [(v.name, v.shape) for v in copy.weights] == [(v.name, v.shape) for v in layer.weights]
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(x), layer(x))


def check_dtype_policy(factory: Factory, input_shape: tuple[int, ...], policy: str) -> None:
    """Weights have the policy's variable type and outputs its compute type."""
    layer = factory(dtype=policy)
    output = layer(batch(input_shape))
    expected = keras.DTypePolicy(policy)
    assert keras.backend.standardize_dtype(output.dtype) == expected.compute_dtype
    assert {v.dtype for v in layer.trainable_variables} == {expected.variable_dtype}
    assert np.all(np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))))


class Offset(layers.TaskLayer):
    """Adds a learned vector, so that a gradient can be taken through the layer that follows."""

    def build(self, input_shape: Any) -> None:
        self.offset = self.add_weight(shape=tuple(input_shape[1:]), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.offset


def check_gradients(factory: Factory, input_shape: tuple[int, ...]) -> None:
    """First and mixed second derivatives agree with central differences in double precision."""
    inputs = keras.Input(input_shape, dtype="float64")
    model = keras.Model(inputs, factory(dtype="float64")(Offset(dtype="float64")(inputs)))
    randomise(model)
    learner = FunctionalLearner(model)
    x = tf.constant(batch(input_shape, "float64"))
    state = learner.initial_state(tf.constant([1, 2]))
    theta = [tf.convert_to_tensor(v.value) for v in learner.theta_variables]
    values, cut = [*theta, *learner.warp_values()], len(theta)
    rng = np.random.default_rng(2)
    weights = tf.constant(rng.normal(size=(x.shape[0], *model.output_shape[1:])))
    u, v = ([tf.constant(rng.normal(size=t.shape)) for t in values] for _ in range(2))

    @tf.function
    def loss(point: list[tf.Tensor]) -> tf.Tensor:
        output = learner(point[:cut], point[cut:], state, x, training=True).predictions
        return tf.reduce_sum(weights * output**2)

    @tf.function
    def slope(point: list[tf.Tensor]) -> tf.Tensor:
        """The derivative of the loss in theta, along v."""
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = loss(point)
        return inner(tape.gradient(value, point[:cut]), v[:cut])

    assert_derivative(loss, values, u)
    assert_derivative(slope, values, u)


def inner(left: list[tf.Tensor], right: list[tf.Tensor]) -> tf.Tensor:
    """The inner product of two lists of tensors."""
    return tf.add_n([tf.reduce_sum(a * b) for a, b in zip(left, right, strict=True)])


def assert_derivative(function: Any, point: list[tf.Tensor], direction: list[tf.Tensor]) -> None:
    """Compares a function's derivative along a direction with a central difference."""
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    gradients = tape.gradient(value, point, unconnected_gradients="zero")
    assert any(np.any(g) for g in gradients)
    step = 1e-5
    ahead, behind = (
        function([p + sign * step * d for p, d in zip(point, direction, strict=True)])
        for sign in (1.0, -1.0)
    )
    difference = (ahead - behind) / (2 * step)
    np.testing.assert_allclose(inner(gradients, direction), difference, rtol=1e-5, atol=1e-6)
