"""Losses are Keras' own: one inner step is one step of plain Keras, whatever the loss."""

from typing import Any

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.losses import (
    LOSSES,
    NUMBERS,
    Data,
    assert_steps_as_keras,
    compiled,
    examples,
    exported_losses,
    is_known_to_keras,
    network,
    step,
    ways,
)
from hypothesis import strategies as st

from warptf.compiled_loss import CompiledLoss

ROWS = [
    (name, way, make)
    for name, things in exported_losses().items()
    for thing in things
    for way, make in ways(thing).items()
]


def test_every_loss_of_keras_is_known() -> None:
    assert set(exported_losses()) == set(LOSSES)


def weights_of(count: int) -> st.SearchStrategy:
    """No weights, one for each example, or the same with an axis of size one."""
    values = np.linspace(0.5, 2.0, count).astype("float32")
    return st.sampled_from([None, values, values[:, np.newaxis]])


@pytest.mark.parametrize(("name", "way", "make"), ROWS, ids=lambda v: v if type(v) is str else "")
@hypothesis.settings(max_examples=2)
@hypothesis.given(choice=st.data())
def test_a_step_is_that_of_keras(name: str, way: str, make: Any, choice: st.DataObject) -> None:
    data = choice.draw(st.sampled_from(LOSSES[name]))
    label = choice.draw(st.sampled_from(data.labels))
    x, y = examples(data, label, choice.draw(st.sampled_from(data.types)), seed=3)
    weight = choice.draw(weights_of(len(x)))
    if name == "ctc" or len(data.shape) > 1:
        weight = None
    if is_known_to_keras(make()):
        assert_steps_as_keras(network(data), x, y, weight, loss=make())
    else:
        with pytest.raises(ValueError, match="Could not interpret loss identifier"):
            CompiledLoss(make(), network(data))


# Before, outputs [B, 1] with targets [B] gave the mean over all pairs, or an error.
@pytest.mark.parametrize("loss", ["hinge", "poisson", "binary_crossentropy", "own", "crossentropy"])
@pytest.mark.parametrize("label", [(), (1,)])
@pytest.mark.parametrize("kind", ["float32", "int64", "bool"])
def test_outputs_with_an_axis_more_than_targets(loss: str, label: Any, kind: str) -> None:
    def own(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.abs(y_true - y_pred) ** 1.5

    x, y = examples(NUMBERS[0], label, kind, seed=2)
    given = own if loss == "own" else loss
    assert_steps_as_keras(network(NUMBERS[0]), x, y, loss=given)
    pairs = step(network(NUMBERS[0]), x, y.reshape(-1, 1), loss=given)
    one = step(network(NUMBERS[0]), x, y.reshape(-1), loss=given)
    np.testing.assert_allclose(one.loss, pairs.loss, rtol=1e-6)


@pytest.mark.parametrize(
    "reduction", ["sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none", None]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions(reduction: Any, weighted: bool) -> None:
    # Without reduction, Keras differentiates the sum and reports the mean.
    x, y = examples(NUMBERS[1], (2,), "float32", seed=4)
    weight = np.array([0.5, 2.0, 0.0, 1.0], "float32") if weighted else None
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    assert_steps_as_keras(network(NUMBERS[1]), x, y, weight, loss=loss)


@pytest.mark.parametrize("weighted", [False, True])
def test_functions_that_reduce_by_themselves(weighted: bool) -> None:
    x, y = examples(NUMBERS[0], (), "float32", seed=4)
    weight = np.array([0.5, 2.0, 0.0, 1.0], "float32") if weighted else None

    def total(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.sum(keras.ops.square(y_true - y_pred))

    assert_steps_as_keras(network(NUMBERS[0]), x, y, weight, loss=total)


def test_weights_of_steps_in_time() -> None:
    data = NUMBERS[2]
    x, y = examples(data, (2, 1), "int32", seed=5)
    weight = np.arange(8, dtype="float32").reshape(4, 2)
    assert_steps_as_keras(network(data), x, y, weight, loss="mse")


class Adding(keras.layers.Layer):
    """Adds losses: a vector, and a whole number."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(keras.ops.mean(keras.ops.square(inputs), axis=-1))
        self.add_loss(keras.ops.cast(keras.ops.sum(inputs), "int32"))
        return inputs


def test_what_layers_add_counts() -> None:
    regularizers = {
        "kernel_regularizer": keras.regularizers.L2(0.3),
        "bias_regularizer": keras.regularizers.L1(0.2),
        "activity_regularizer": keras.regularizers.L2(0.1),
    }
    x, y = examples(NUMBERS[1], (2,), "float32", seed=6)
    assert_steps_as_keras(network(NUMBERS[1], **regularizers), x, y, loss="mse")
    inputs = keras.Input((2,))
    outputs = Adding()(keras.layers.Dense(2, kernel_initializer="ones")(inputs))
    assert_steps_as_keras(keras.Model(inputs, outputs), x, y, loss="mse")


class Counting(keras.layers.Layer):
    """Keeps a metric."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = keras.metrics.Mean(name="seen")

    def call(self, inputs: Any) -> Any:
        self.seen.update_state(inputs)
        return inputs


class Judging(keras.Sequential):
    """Computes a loss of its own."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs) + 1.0


def test_losses_and_metrics_of_models_that_would_be_lost_are_refused() -> None:
    layers = [keras.Input((2,)), keras.layers.Dense(2)]
    with pytest.raises(ValueError, match=r"keeps metrics of its own, \['seen'\]"):
        CompiledLoss("mse", keras.Sequential([*layers, Counting()]))
    with pytest.raises(ValueError, match=r"has a compute_loss\(\) of its own.*add_loss"):
        CompiledLoss("mse", Judging(layers))
    # A model that was compiled before has metrics, which are not its own.
    CompiledLoss("mse", compiled(network(NUMBERS[0]), loss="mae", metrics=["mse"]))


def masked_text(outputs: int = 1) -> keras.Model:
    """Ids [B, T], 0 for no word, to an output for each word."""
    kernel = keras.initializers.RandomNormal(stddev=0.5, seed=1)
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(5, 3, mask_zero=True, embeddings_initializer=kernel)(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs, kernel_initializer=kernel)(x))


@pytest.mark.parametrize(
    "loss", ["mse", keras.losses.MeanAbsoluteError(reduction="sum"), keras.losses.hinge]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_masks_count(loss: Any, weighted: bool) -> None:
    ids = np.array([[1, 2, 0], [3, 0, 0], [4, 4, 1]])
    y = np.random.default_rng(7).normal(size=(3, 3)).astype("float32")
    weight = np.array([0.5, 2.0, 1.0], "float32")[:, np.newaxis] * np.ones((3, 3), "float32")
    assert_steps_as_keras(masked_text(), ids, y, weight if weighted else None, loss=loss)


def two_outputs(kind: str) -> keras.Model:
    """A classifier and a regression on one input, as a list, a dict or a nested structure."""

    def dense(units: int, name: str) -> keras.layers.Layer:
        kernel = keras.initializers.RandomNormal(stddev=0.5, seed=units)
        return keras.layers.Dense(units, kernel_initializer=kernel, name=name)

    inputs = keras.Input((2,))
    kind_of, price = dense(3, "kind")(inputs), dense(1, "price")(inputs)
    structures = {
        "list": [kind_of, price],
        "dict": {"kind": kind_of, "price": price},
        "nested": {"both": [kind_of, price]},
    }
    return keras.Model(inputs, structures[kind])


CROSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SEVERAL: dict[str, tuple[str, dict[str, Any]]] = {
    "one for all": ("list", {"loss": "mse"}),
    "list": ("list", {"loss": [CROSS, "mae"]}),
    "list with weights": ("list", {"loss": [CROSS, "mse"], "loss_weights": [0.5, 2.0]}),
    "names": ("list", {"loss": {"price": "mse", "kind": CROSS}}),
    "names with weights": (
        "list",
        {"loss": {"kind": CROSS, "price": "mse"}, "loss_weights": {"kind": 0.1, "price": 3.0}},
    ),
    "none of one": ("list", {"loss": [CROSS, None]}),
    "dict": ("dict", {"loss": {"kind": CROSS, "price": "hinge"}}),
    "dict with weights": (
        "dict",
        {"loss": {"kind": CROSS, "price": "mse"}, "loss_weights": {"kind": 0.0, "price": 3.0}},
    ),
    "one alone": ("dict", {"loss": {"price": "mse"}}),
    "nested": ("nested", {"loss": {"both": [CROSS, "mse"]}}),
}


def targets(kind: str, loss: Any) -> Any:
    """Targets as the model's outputs are structured."""
    classes, prices = np.array([0, 2, 1, 1]), np.array([0.5, -1.0, 2.0, 0.0], "float32")
    if loss == "mse":
        classes = np.eye(3, dtype="float32")[classes]
    structures = {
        "list": (classes, prices),
        "dict": {"kind": classes, "price": prices},
        "nested": {"both": [classes, prices]},
    }
    return structures[kind]


# Keras warns of the outputs without loss.
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("case", SEVERAL)
@pytest.mark.parametrize("weighted", [False, True])
def test_several_outputs(case: str, weighted: bool) -> None:
    kind, arguments = SEVERAL[case]
    x = np.random.default_rng(8).normal(size=(4, 2)).astype("float32")
    y = targets(kind, arguments["loss"])
    weight = np.array([0.5, 2.0, 0.0, 1.0], "float32") if weighted else None
    if weighted and kind != "nested":
        weight = tf.nest.map_structure(lambda _: weight, y)
    assert_steps_as_keras(two_outputs(kind), x, y, weight, **arguments)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no loss": ("list", {"loss": None}, "loss must be.*got None"),
    "an unknown one": ("list", {"loss": ["mse", "nonsense"]}, "nonsense"),
    "an unknown output": ("dict", {"loss": {"size": "mse"}}, "does not fit the outputs.*size"),
    "too many": ("dict", {"loss": ["mse"] * 3}, "none for what the model does not return"),
    "nothing but none": ("list", {"loss": [None, None]}, "at least one output"),
    "weights of other number": (
        "list",
        {"loss": ["mse", "mse"], "loss_weights": [1.0]},
        "loss_weights.*does not fit",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_losses_that_do_not_fit_are_refused(case: str) -> None:
    kind, arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        CompiledLoss(arguments["loss"], two_outputs(kind), arguments.get("loss_weights"))


def test_nothing_is_assigned_in_a_loop_and_values_do_not_add_up() -> None:
    model = two_outputs("dict")
    loss = CompiledLoss({"kind": CROSS, "price": "mse"}, model)
    y = tf.nest.map_structure(tf.constant, targets("dict", None))
    x = tf.constant(np.random.default_rng(8).normal(size=(4, 2)).astype("float32"))
    plain = compiled(model, loss={"kind": CROSS, "price": "mse"})
    wanted = plain.test_on_batch(x, y, return_dict=True)

    @tf.function(autograph=False)
    def each() -> Any:
        signature = dict.fromkeys(("loss", *loss.names), tf.TensorSpec((), tf.float32))
        one = lambda _: loss(y, model(x)).reported  # noqa: E731
        return tf.map_fn(one, tf.range(2), fn_output_signature=signature)

    for _ in range(2):
        for name, value in each().items():
            np.testing.assert_allclose(value, [wanted[name]] * 2, rtol=1e-5, err_msg=name)


def test_losses_within_losses_are_those_of_one_replica() -> None:
    def own(y_true: Any, y_pred: Any) -> Any:
        return keras.losses.MeanSquaredError()(y_true, y_pred)

    data = Data((1,), None, ((),))
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    x, y = map(tf.constant, examples(data, (), "float32", seed=9))
    for given in (own, keras.losses.MeanSquaredError(reduction="sum"), "mse", keras.losses.hinge):
        one = float(step(network(data), x, y, loss=given).loss)
        with strategy.scope():
            model = network(data)
        loss = CompiledLoss(given, model)
        loss.resolve(y, model(x))
        found = strategy.run(
            tf.function(lambda loss=loss, model=model: loss(y, model(x)).total, autograph=False)
        )
        values = strategy.experimental_local_results(found)
        np.testing.assert_allclose(values, [one, one], rtol=1e-6)
