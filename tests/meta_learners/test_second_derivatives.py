"""Meta-gradients through layers whose second derivatives TensorFlow lacks, and the check in fit."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.numerics import double_precision

import warptf
from warptf.initializations import MAML, FirstOrderBilevelMAML, Fixed, ImplicitMAML, Reptile
from warptf.inner_optimizers import SGD
from warptf.objectives import BackpropThroughAdaptation, WarpGrad
from warptf.tasks import Task

RATE = 0.3


def enlarging(interpolation: str = "bilinear") -> keras.Sequential:
    """A smooth learner of images that are enlarged between its layers."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((3, 3, 2)),
            keras.layers.Conv2D(2, 2, activation="tanh", name="below"),
            keras.layers.UpSampling2D(2, interpolation=interpolation, name="enlarge"),
            warptf.layers.WarpConv2D(2, 2, activation="tanh", name="warp"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, name="head"),
        ]
    )


def tasks() -> tuple[Any, tf.data.Dataset]:
    rng = np.random.default_rng(0)
    support, query = (
        (rng.normal(size=(1, 4, 3, 3, 2)), rng.normal(size=(1, 4, 1))) for _ in range(2)
    )
    return (support, query), tf.data.Dataset.from_tensors(Task(support, query))


def is_of(layer: str, variable: keras.Variable) -> bool:
    """Whether a variable is of a layer, or of a part of it."""
    return layer in variable.path.split("/")[:-1]


def stepped_loss(model: keras.Model, data: Any, values: list[Any]) -> float:
    """The query loss after one step of plain gradient descent, by Keras' stateless call."""
    warp = [is_of("warp", variable) for variable in model.trainable_variables]
    (x, y), (x_query, y_query) = ((x[0], y[0]) for x, y in data)

    def loss(values: list[tf.Tensor], x: Any, y: Any) -> tf.Tensor:
        state = [v.value for v in model.non_trainable_variables]
        return tf.reduce_mean((model.stateless_call(values, state, x)[0] - y) ** 2)

    values = [tf.convert_to_tensor(v) for v in values]
    with tf.GradientTape() as tape:
        tape.watch(values)
        value = loss(values, x, y)
    gradients = tape.gradient(value, values)
    stepped = [
        v if fixed else v - RATE * g for v, g, fixed in zip(values, gradients, warp, strict=True)
    ]
    return float(loss(stepped, x_query, y_query))


@pytest.mark.parametrize(
    ("part", "objective", "initialization"),
    [("below", None, MAML()), ("warp", WarpGrad(), Fixed())],
    ids=["MAML's of theta_0", "exact WarpGrad's of phi"],
)
def test_the_gradient_through_bilinear_enlarging_is_exact(
    part: str, objective: Any, initialization: Any
) -> None:
    with double_precision():
        model = enlarging()
        data, dataset = tasks()
        learner = warptf.OnlineMetaLearner(model, SGD(RATE), 1, objective, initialization)
        # With this rate a variable moves by its gradient.
        learner.compile(keras.optimizers.SGD(1.0), "mse")
        before = [np.array(v) for v in model.trainable_variables]
        moved = [is_of(part, v) for v in model.trainable_variables]
        learner.fit(dataset, verbose=0)
        gradient = [b - np.array(v) for b, v in zip(before, model.trainable_variables, strict=True)]
        rng, step = np.random.default_rng(1), 1e-2
        for _ in range(2):
            direction = [m * rng.normal(size=b.shape) for b, m in zip(before, moved, strict=True)]
            # Resizing computes in single precision: wide differences, by Richardson's rule.
            slopes = []
            for size in (step, 2 * step):
                ahead, behind = (
                    stepped_loss(
                        model,
                        data,
                        [b + s * size * d for b, d in zip(before, direction, strict=True)],
                    )
                    for s in (1.0, -1.0)
                )
                slopes.append((ahead - behind) / (2 * size))
            expected = (4 * slopes[0] - slopes[1]) / 3
            got = sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True))
            assert abs(expected) > 1e-3
            np.testing.assert_allclose(got, expected, rtol=2e-3, atol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class Unmended(keras.layers.Layer):
    """Enlarges by TensorFlow's own operation, whose second derivative is dropped in silence."""

    def call(self, inputs: Any) -> Any:
        return tf.raw_ops.ResizeBilinear(images=inputs, size=[4, 4])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], 4, 4, input_shape[-1])


def learner_with(objective: Any, initialization: Any) -> warptf.OnlineMetaLearner:
    model = keras.Sequential(
        [
            keras.Input((3, 3, 2)),
            keras.layers.Conv2D(2, 2, name="below"),
            warptf.layers.WarpConv2D(2, 2, name="warp"),
            Unmended(name="enlarge"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, name="head"),
        ]
    )
    learner = warptf.OnlineMetaLearner(model, SGD(0.1), 1, objective, initialization)
    learner.compile("sgd", "mse")
    return learner


@pytest.mark.parametrize(
    ("objective", "initialization", "remedy"),
    [
        (
            WarpGrad(),
            Fixed(),
            r'WarpGrad\("finite_difference"\) or WarpGrad\("none"\) as objective',
        ),
        (BackpropThroughAdaptation(), Fixed(), r'WarpGrad\("finite_difference"\)'),
        (None, MAML(), r"MAML\(first_order=True\) or Reptile\(\) as initialization"),
        (None, ImplicitMAML(), r"FirstOrderBilevelMAML\(\) as initialization"),
        (WarpGrad("none"), MAML(), r"MAML\(first_order=True\)"),
    ],
)
def test_what_needs_second_derivatives_is_refused_before_training(
    objective: Any, initialization: Any, remedy: str
) -> None:
    learner = learner_with(objective, initialization)
    before = [np.array(v) for v in learner.model.trainable_variables]
    with pytest.raises(ValueError, match=rf"layer 'enlarge' \(Unmended\).*Use {remedy}"):
        learner.fit(tasks()[1], verbose=0)
    for old, variable in zip(before, learner.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable)


@pytest.mark.parametrize(
    ("objective", "initialization"),
    [
        (WarpGrad("none"), MAML(first_order=True)),
        (WarpGrad("finite_difference"), Reptile()),
        (None, FirstOrderBilevelMAML()),
    ],
)
def test_first_order_methods_take_any_layer(objective: Any, initialization: Any) -> None:
    history = learner_with(objective, initialization).fit(tasks()[1], verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_the_model_is_looked_at_once_for_each_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "warptf.meta_learners.task_checking.check_derivatives", lambda *a: seen.append(a)
    )
    learner = learner_with(None, MAML())
    for _ in range(2):
        learner.fit(tasks()[1], verbose=0)
    assert len(seen) == 1
    learner.compile("sgd", "mse")
    learner.fit(tasks()[1], verbose=0)
    assert len(seen) == 2


def test_a_layer_that_assigns_to_its_weights_is_refused() -> None:
    dense = keras.layers.SpectralNormalization(keras.layers.Dense(2, name="inner"), name="outer")
    model = keras.Sequential([keras.Input((3,)), dense])
    learner = warptf.OnlineMetaLearner(model, SGD(0.1), 1, None, Reptile())
    learner.compile("sgd", "mse")
    x, y = np.ones((1, 4, 3), "float32"), np.ones((1, 4, 2), "float32")
    match = r"layer 'outer/inner' \(Dense\) in 'outer' \(SpectralNormalization\)"
    with pytest.raises(ValueError, match=match):
        learner.fit(tf.data.Dataset.from_tensors(Task((x, y), (x, y))), verbose=0)
