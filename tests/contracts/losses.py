"""Plain Keras as the truth about losses and metrics: what data each takes, and one step of it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from warptf.adaptation import InnerProblem, InnerStep, TaskBatches, batch_at, plain
from warptf.compiled_loss import CompiledLoss
from warptf.inner_optimizers import SGD
from warptf.meta_learners.task_metrics import TaskMetrics
from warptf.partition import FunctionalLearner

RATE = 0.1
SEED = tf.constant([1, 2])


class Data(NamedTuple):
    """What a loss or metric takes.

    Attributes:
        shape: shape of the model's outputs without the batch.
        activation: what brings outputs into range.
        labels: shapes of targets that Keras takes for them, without the batch.
        values: how many values targets have, `None` for a one-hot axis at the end.
        types: their types.
    """

    shape: tuple[int, ...]
    activation: str | None
    labels: tuple[tuple[int, ...], ...]
    values: int | None = 2
    types: tuple[str, ...] = ("float32", "float64", "int32", "int64", "uint8", "bool")


NUMBERS = (
    Data((1,), "sigmoid", ((), (1,))),
    Data((2,), "sigmoid", ((2,),)),
    Data((2, 1), "sigmoid", ((2,), (2, 1))),
)
ONE_HOT = (Data((3,), "softmax", ((3,),), None), Data((2, 3), "softmax", ((2, 3),), None))
CLASSES = (
    Data((3,), "softmax", ((), (1,)), 3, ("float32", "int32", "int64", "uint8")),
    Data((2, 3), "softmax", ((2,), (2, 1)), 3, ("float32", "int32", "int64", "uint8")),
)
EMBEDDED = (Data((3,), "tanh", ((), (1,)), 2, ("int32", "int64", "float32")),)
SEQUENCES = (Data((3, 3), None, ((1,),), 3, ("int32",)),)
MAPS = (Data((2, 2, 1), "sigmoid", ((2, 2, 1),), 2, ("float32", "int32", "bool")),)

# Every loss that Keras exports, by the name of its function.
LOSSES: Mapping[str, tuple[Data, ...]] = {
    "binary_crossentropy": NUMBERS,
    "binary_focal_crossentropy": NUMBERS,
    "categorical_crossentropy": ONE_HOT,
    "categorical_focal_crossentropy": ONE_HOT,
    "categorical_generalized_cross_entropy": (
        CLASSES[0]._replace(labels=((),)),
        CLASSES[1]._replace(labels=((2,),)),
    ),
    "categorical_hinge": ONE_HOT,
    "circle": EMBEDDED,
    "cosine_similarity": NUMBERS[1:],
    "ctc": SEQUENCES,
    "dice": MAPS,
    "hinge": NUMBERS,
    "huber": NUMBERS,
    "kl_divergence": ONE_HOT,
    "log_cosh": NUMBERS,
    "mean_absolute_error": NUMBERS,
    "mean_absolute_percentage_error": NUMBERS,
    "mean_squared_error": NUMBERS,
    "mean_squared_logarithmic_error": NUMBERS,
    "poisson": NUMBERS,
    "sparse_categorical_crossentropy": CLASSES,
    "squared_hinge": NUMBERS,
    "tversky": MAPS,
}

NOT_LOSSES = {"Loss", "deserialize", "get", "serialize"}


def exported_losses() -> dict[str, list[Any]]:
    """Every function and class in `keras.losses`, by the name of the function."""
    found: dict[str, list[Any]] = {}
    for name in dir(keras.losses):
        if name.startswith("_") or name in NOT_LOSSES:
            continue
        thing = getattr(keras.losses, name)
        key = name if not isinstance(thing, type) else function_name(thing)
        found.setdefault(key, []).append(thing)
    return found


def is_known_to_keras(loss: Any) -> bool:
    """Whether Keras finds a loss, some of which it exports but does not know by name."""
    try:
        return keras.losses.get(loss) is not None
    except ValueError:
        return False


def function_name(cls: type) -> str:
    """The name of the function that a class of losses wraps."""
    return getattr(getattr(cls(), "fn", None), "__name__", cls.__name__)


def ways(thing: Any) -> dict[str, Callable[[], Any]]:
    """How users give a loss or metric to `compile`."""
    if isinstance(thing, type):
        return {"class name": lambda: thing.__name__, "object": lambda: thing()}
    more = {"q": 0.5} if thing is keras.losses.categorical_generalized_cross_entropy else {}
    function = functools.partial(thing, **more) if more else thing
    return {"name": lambda: thing.__name__, "function": lambda: function}


def network(data: Data, **dense: Any) -> keras.Model:
    """A model 2 -> `data.shape` with weights that do not change from run to run."""
    inputs = keras.Input((2,))
    kernel = keras.initializers.RandomNormal(stddev=0.5, seed=1)
    size = int(np.prod(data.shape))
    x = keras.layers.Dense(size, kernel_initializer=kernel, **dense)(inputs)
    x = keras.layers.Reshape(data.shape)(x) if len(data.shape) > 1 else x
    x = keras.layers.Activation(data.activation)(x) if data.activation else x
    return keras.Model(inputs, x)


def examples(data: Data, label: tuple[int, ...], kind: str, seed: int, count: int = 4) -> Any:
    """Inputs and targets."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 2)).astype("float32")
    if data.values is None:
        y = np.eye(label[-1])[random.integers(0, label[-1], (count, *label[:-1]))]
    else:
        y = random.integers(0, data.values, (count, *label))
    return x, y.astype(kind)


def step(
    model: keras.Model, x: Any, y: Any, weight: Any = None, **compile_arguments: Any
) -> InnerStep:
    """One inner step by the library, from the model's own values."""
    weights = compile_arguments.get("loss_weights")
    loss = CompiledLoss(compile_arguments["loss"], model, weights)
    learner = FunctionalLearner(model)
    problem = InnerProblem(learner, SGD(RATE), loss)
    batch = (x, y) if weight is None else (x, y, weight)
    batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
    start = problem.start(problem.parameters(), SEED)
    return plain(problem, *start, batch_at(TaskBatches(batch), tf.constant(0)))


def scores(
    model: keras.Model, x: Any, y: Any, weight: Any = None, **compile_arguments: Any
) -> dict[str, Any]:
    """Loss and metrics by the library, out of training mode."""
    given = dict(compile_arguments)
    loss = CompiledLoss(given["loss"], model, given.get("loss_weights"))
    metrics = TaskMetrics(given.get("metrics"), given.get("weighted_metrics"), loss)
    learner = FunctionalLearner(model)
    problem = InnerProblem(learner, SGD(RATE), loss)
    batch = (x, y) if weight is None else (x, y, weight)
    batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
    state = learner.initial_state(SEED)
    output = problem.loss(
        learner.initial_theta(), learner.warp_values(), state, batch, training=False
    )
    return {"loss": output.reported["loss"], **metrics(output, *batch[1:])}


def compiled(model: keras.Model, **compile_arguments: Any) -> keras.Model:
    """The model, compiled by Keras."""
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True, **compile_arguments)
    return model


def assert_steps_as_keras(
    model: keras.Model, x: Any, y: Any, weight: Any = None, **compile_arguments: Any
) -> None:
    """One inner step is what `keras.Model.train_on_batch` does."""
    found = step(model, x, y, weight, **compile_arguments)
    plain = compiled(model, **compile_arguments)
    logs = plain.train_on_batch(x, y, weight, return_dict=True)
    moved = [v.numpy() for v in plain.trainable_variables]
    for ours, theirs in zip(found.after.theta, moved, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    for name, value in found.output.reported.items():
        np.testing.assert_allclose(value, logs[name], rtol=2e-5, atol=1e-6, err_msg=name)
    assert set(found.output.reported) <= set(logs)


def assert_scores_as_keras(
    model: keras.Model, x: Any, y: Any, weight: Any = None, **compile_arguments: Any
) -> None:
    """Loss and metrics are what `keras.Model.test_on_batch` reports."""
    found = scores(model, x, y, weight, **compile_arguments)
    plain = compiled(model, **compile_arguments)
    logs = plain.test_on_batch(x, y, weight, return_dict=True)
    assert set(found) == set(logs)
    for name, value in found.items():
        np.testing.assert_allclose(value, logs[name], rtol=2e-5, atol=1e-6, err_msg=name)
