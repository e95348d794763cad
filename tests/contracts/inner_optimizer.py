"""What every inner optimizer must satisfy, and examples of each."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from contracts.numerics import Arrays, assert_gradient, directions, double_precision

from warptf import inner_optimizers
from warptf.inner_optimizers import InnerOptimizer

Factory = Callable[[], InnerOptimizer]

# With this seed a MaskedSGD of the model below lets every layer move.
SEED = tf.constant([0, 1])

# Optimizers worth checking in several configurations; each is also made without arguments, if it
# can be.
EXAMPLES: dict[str, dict[str, Factory]] = {
    "SGD": {
        "momentum": lambda: inner_optimizers.SGD(0.1, momentum=0.9),
        "nesterov": lambda: inner_optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    },
    "Adam": {
        "large-epsilon": lambda: inner_optimizers.Adam(0.1, 0.5, 0.7, epsilon=0.1),
    },
    "LearnedSGD": {
        "layer": lambda: inner_optimizers.LearnedSGD(0.1, 0.5, granularity="layer"),
        "parameter": lambda: inner_optimizers.LearnedSGD(0.1, 0.5, granularity="parameter"),
        "rate-only": lambda: inner_optimizers.LearnedSGD(0.1, 0.5, learn_momentum=False),
        "nesterov": lambda: inner_optimizers.LearnedSGD(0.1, 0.5, nesterov=True),
    },
    "MaskedSGD": {
        "even": lambda: inner_optimizers.MaskedSGD(0.1, initial_logit=0.5, temperature=0.5),
    },
    "Proximal": {
        "sgd": lambda: inner_optimizers.Proximal(inner_optimizers.SGD(0.1, 0.9), 0.5),
        "adam": lambda: inner_optimizers.Proximal(inner_optimizers.Adam(0.1, epsilon=0.1), 0.5),
        "learned": lambda: inner_optimizers.Proximal(
            inner_optimizers.LearnedSGD(0.1, 0.5, granularity="layer"), 0.5
        ),
        "masked": lambda: inner_optimizers.Proximal(inner_optimizers.MaskedSGD(0.1), 0.5),
    },
}


def inner_optimizer_examples() -> dict[str, Factory]:
    """Every inner optimizer of the library, by discovery, in each of its configurations."""
    found: dict[str, Factory] = {}
    for name in inner_optimizers.__all__:
        cls = getattr(inner_optimizers, name)
        if not (inspect.isclass(cls) and issubclass(cls, InnerOptimizer)) or cls is InnerOptimizer:
            continue
        required = [
            p
            for p in inspect.signature(cls).parameters.values()
            if p.default is p.empty and p.kind is not p.VAR_KEYWORD
        ]
        if not required:
            found[f"{name}-default"] = cls
        assert not required or name in EXAMPLES, f"give an example of {name}"
        found |= {f"{name}-{case}": make for case, make in EXAMPLES.get(name, {}).items()}
    return found


def check_inner_optimizer(factory: Factory) -> None:
    """Checks all of the properties below."""
    check_keeps_shapes_and_types(factory)
    check_pure_and_deterministic(factory)
    check_start_is_a_function_of_the_seed(factory)
    check_runs_in_a_loop(factory)
    check_descends(factory)
    check_zero_gradient(factory)
    check_serialisation(factory)
    with double_precision():
        check_derivatives(factory)


def built(factory: Factory) -> tuple[InnerOptimizer, list[tf.Tensor]]:
    """An optimizer for a small model, and values of that model's variables."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1, use_bias=False)]
    )
    optimizer = factory()
    optimizer.build_for(model.trainable_variables)
    rng = np.random.default_rng(0)
    theta = [tf.constant(rng.normal(size=v.shape), v.dtype) for v in model.trainable_variables]
    return optimizer, theta


def gradients_like(theta: list[tf.Tensor], seed: int = 1) -> list[tf.Tensor]:
    """Random gradients, none of them close to zero."""
    rng = np.random.default_rng(seed)
    return [
        tf.constant(rng.uniform(0.5, 1.5, t.shape) * rng.choice([-1, 1], t.shape), t.dtype)
        for t in theta
    ]


def two_updates(optimizer: InnerOptimizer, theta: Any, gradients: Any, hyper: Any) -> Any:
    """Two updates, the second gradient depending on where the first has led."""
    first = optimizer.update(theta, gradients, optimizer.init(theta, SEED), hyper)
    second = [g + 0.3 * tf.sin(t) for g, t in zip(gradients, first.theta, strict=True)]
    return optimizer.update(first.theta, second, first.state, hyper)


def check_keeps_shapes_and_types(factory: Factory) -> None:
    """Parameters and state keep number, shapes and types, in single and in double precision."""
    optimizer, theta = built(factory)
    for dtype in ("float32", "float64"):
        values = [tf.cast(t, dtype) for t in theta]
        state = optimizer.init(values, SEED)
        update = two_updates(optimizer, values, gradients_like(values), optimizer.hyper_values())
        for before, after in ((values, update.theta), (state, update.state)):
            assert [(b.shape, b.dtype) for b in before] == [(a.shape, a.dtype) for a in after]


def check_pure_and_deterministic(factory: Factory) -> None:
    """The update depends on its arguments alone, assigns nothing and repeats itself."""
    optimizer, theta = built(factory)
    gradients, hyper, state = (
        gradients_like(theta),
        optimizer.hyper_values(),
        optimizer.init(theta, SEED),
    )
    weights = [np.array(w) for w in optimizer.variables]
    once, again = (optimizer.update(theta, gradients, state, hyper) for _ in range(2))
    for a, b in zip(tf.nest.flatten(once), tf.nest.flatten(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(optimizer.variables) == len(weights)
    for before, after in zip(weights, optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, after)
    traced = tf.function(optimizer.update, autograph=False)
    concrete = traced.get_concrete_function(theta, gradients, state, hyper)
    assert not concrete.captured_inputs, "update() reads something that was not given to it"
    assert not [op.type for op in concrete.graph.get_operations() if "Assign" in op.type]


def check_start_is_a_function_of_the_seed(factory: Factory) -> None:
    """The same seed starts adaptation the same, in a graph and mapped over tasks as well."""
    optimizer, theta = built(factory)
    seeds = tf.stack([SEED, SEED + 1])
    one_by_one = [optimizer.init(theta, seed) for seed in seeds]
    signature = [tf.TensorSpec(t.shape, t.dtype) for t in one_by_one[0]]
    mapped = tf.function(
        lambda: tf.map_fn(
            lambda seed: (seed, optimizer.init(theta, seed)),
            seeds,
            fn_output_signature=(tf.TensorSpec([2], tf.int32), signature),
        ),
        autograph=False,
    )
    for i, stacked in enumerate(mapped()[1]):
        for value, state in zip(stacked, one_by_one, strict=True):
            np.testing.assert_allclose(value, state[i], rtol=1e-6)


def check_runs_in_a_loop(factory: Factory) -> None:
    """A loop in a graph computes what updates by hand compute."""
    optimizer, theta = built(factory)
    gradients, hyper = gradients_like(theta), optimizer.hyper_values()

    def step(k: Any, theta: Any, state: Any) -> Any:
        scaled = [g / (1.0 + k) for g in gradients]
        update = optimizer.update(theta, scaled, state, hyper)
        return k + 1.0, update.theta, update.state

    start = (tf.constant(0.0), theta, optimizer.init(theta, SEED))
    by_hand = start
    for _ in range(3):
        by_hand = step(*by_hand)
    looped = tf.function(
        lambda: tf.while_loop(lambda k, *_: k < 3.0, step, start), autograph=False
    )()
    for a, b in zip(tf.nest.flatten(looped), tf.nest.flatten(by_hand), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def check_descends(factory: Factory) -> None:
    """The first step goes against the gradient, in every parameter."""
    optimizer, theta = built(factory)
    start = [tf.zeros_like(t) for t in theta]
    gradients = gradients_like(theta)
    moved = optimizer.update(
        start, gradients, optimizer.init(start, SEED), optimizer.hyper_values()
    )
    for gradient, value in zip(gradients, moved.theta, strict=True):
        assert np.sum(gradient * value) < 0


def check_zero_gradient(factory: Factory) -> None:
    """Zero gradients move nothing, and leave first and second derivatives finite."""
    optimizer, theta = built(factory)
    start, hyper = [tf.zeros_like(t) for t in theta], optimizer.hyper_values()
    some = [g * tf.cast(tf.range(g.shape[-1]) > 0, g.dtype) for g in gradients_like(theta)]
    for gradients in ([tf.zeros_like(t) for t in theta], some):
        sources = [start, gradients, hyper]
        with tf.GradientTape() as outer, tf.GradientTape() as tape:
            outer.watch(sources)
            tape.watch(sources)
            state = optimizer.init(start, SEED)
            update = optimizer.update(start, gradients, state, hyper)
            update = optimizer.update(update.theta, gradients, update.state, hyper)
            total = tf.add_n([tf.reduce_sum(t + t**2) for t in update.theta])
            first = tape.gradient(total, sources, unconnected_gradients="zero")
        for value, gradient in zip(update.theta, gradients, strict=True):
            np.testing.assert_array_equal(np.asarray(value)[np.asarray(gradient) == 0], 0)
        second = outer.gradient(
            [g**2 + g for g in tf.nest.flatten(first)], sources, unconnected_gradients="zero"
        )
        for values in tf.nest.flatten([update, first, second]):
            assert np.all(np.isfinite(values))


def check_serialisation(factory: Factory) -> None:
    """The configuration survives JSON, and the optimizer made from it computes the same."""
    optimizer, theta = built(factory)
    for weight in optimizer.trainable_variables:
        weight.assign(weight + 0.01)
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))
    copy, _ = built(lambda: keras.saving.deserialize_keras_object(stored))
    assert type(copy) is type(optimizer) and copy.name == optimizer.name
    assert json.dumps(copy.get_config()) == json.dumps(optimizer.get_config())
    copy.set_weights(optimizer.get_weights())
    gradients = gradients_like(theta)
    for a, b in zip(
        tf.nest.flatten(two_updates(optimizer, theta, gradients, optimizer.hyper_values())),
        tf.nest.flatten(two_updates(copy, theta, gradients, copy.hyper_values())),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def check_derivatives(factory: Factory) -> None:
    """First and second derivatives in parameters, gradients and learned values are right."""
    optimizer, theta = built(factory)
    hyper = [h + 0.05 for h in optimizer.hyper_values()]
    # The gradient in a mask's logits is no derivative of the step, which is constant in pieces.
    masked = isinstance(getattr(optimizer, "rule", optimizer), inner_optimizers.MaskedSGD)
    held, hyper = (hyper, []) if masked else ([], hyper)
    point = [t.numpy() for t in (*theta, *gradients_like(theta), *hyper)]
    along, n = [tf.constant(d) for d in directions(point, 1, seed=3)[0]], len(theta)

    def value(values: Any) -> tf.Tensor:
        update = two_updates(optimizer, values[:n], values[n : 2 * n], held or values[2 * n :])
        terms = [tf.cast(t, tf.float64) for t in tf.nest.flatten(update)]
        return tf.add_n([tf.reduce_sum(tf.sin(t + 0.5)) for t in terms])

    def slope(values: Any) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = value(values)
        gradient = tape.gradient(total, values)
        return tf.add_n([tf.reduce_sum(g * d) for g, d in zip(gradient, along, strict=True)])

    for function in (value, slope):
        with tf.GradientTape() as tape:
            tensors = [tf.constant(p) for p in point]
            tape.watch(tensors)
            result = function(tensors)
        gradient = [g.numpy() for g in tape.gradient(result, tensors)]

        def at(values: Arrays, function: Any = function) -> np.ndarray:
            return function([tf.constant(v) for v in values]).numpy()

        assert_gradient(gradient, at, point)
