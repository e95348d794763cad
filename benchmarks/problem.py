"""The learner, the meta-learners and the tasks that the benchmarks run."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

import warptf
from warptf.tasks.prefetched import prefetched

WAYS, SIDE = 20, 28
# Small outer rates: what is learned does not matter, that it stays finite does.
INNER_RATE, OUTER_RATE = 0.01, 1e-3

Algorithm = Literal["offline", "online"]
SecondOrder = Literal["exact", "finite_difference", "none"]
Layers = Literal["warptf", "keras"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large a learner and its tasks are."""

    filters: int = 64
    """Filters of each convolution."""
    tasks: int = 4
    """Tasks of a meta-batch."""
    inner_steps: int = 10
    """Inner steps of a task."""
    batch_size: int = 20
    """Images of a mini-batch."""

    @property
    def axes(self) -> tuple[int, int, int]:
        """The axes `T, K, B` of a meta-batch."""
        return self.tasks, self.inner_steps, self.batch_size


def learner(filters: int, layers: Layers = "warptf") -> keras.Model:
    """Returns the learner of the multi-shot experiment.

    Args:
        filters: channels of each convolution.
        layers: whose batch norm and pooling it has.
    """
    model = warptf.models.multi_shot_learner(ways=WAYS, filters=filters)
    if layers == "warptf":
        return model
    return keras.models.clone_model(model, clone_function=_with_stock_layers)


def _with_stock_layers(layer: keras.layers.Layer) -> keras.layers.Layer:
    stock = {
        warptf.layers.BatchNormalization: keras.layers.BatchNormalization,
        warptf.layers.MaxPooling2D: keras.layers.MaxPooling2D,
    }
    return stock.get(type(layer), type(layer)).from_config(layer.get_config())


def plain_step(filters: int, batch_size: int, layers: Layers = "warptf") -> Callable[[], Any]:
    """Returns one gradient step on the whole learner as Keras compiles it by default."""
    model = learner(filters, layers)
    model.compile(keras.optimizers.SGD(OUTER_RATE), _loss())
    model.make_train_function()
    x, y = _batch(batch_size)
    iterator = iter(tf.data.Dataset.from_tensors((x, y)).repeat())
    return lambda: model.train_function(iterator)


def meta_learner(
    model: keras.Model,
    algorithm: Algorithm,
    second_order: SecondOrder | None,
    inner_steps: int,
    together: bool = False,
    jit_compile: bool = False,
) -> warptf.MetaLearner:
    """Returns a compiled meta-learner.

    Args:
        model: the learner.
        algorithm: which of the paper's algorithms.
        second_order: mode of the warp objective, or `None` for inner steps alone, from which
            Reptile learns the initialisation.
        inner_steps: inner steps of each task.
        together: whether tasks are learned together. Defaults to `False`.
        jit_compile: whether XLA compiles a meta-step. Defaults to `False`.
    """
    inner_optimizer = warptf.inner_optimizers.SGD(INNER_RATE)
    if second_order is None:
        result: Any = warptf.OnlineMetaLearner(
            model,
            inner_optimizer,
            inner_steps,
            objective=None,
            initialization=warptf.initializations.Reptile(),
        )
    else:
        kinds = {"offline": warptf.OfflineMetaLearner, "online": warptf.OnlineMetaLearner}
        objective = warptf.objectives.WarpGrad(second_order)
        result = kinds[algorithm](model, inner_optimizer, inner_steps, objective=objective)
    result.compile(
        keras.optimizers.SGD(OUTER_RATE),
        _loss(),
        jit_compile=jit_compile,
        vectorize_tasks=together,
    )
    return result


def maml(filters: int, inner_steps: int, together: bool) -> warptf.MetaLearner:
    """Returns compiled MAML of a few-shot learner of four blocks.

    Args:
        filters: channels of each convolution.
        inner_steps: inner steps of each task.
        together: whether tasks are learned together.
    """
    model = warptf.models.few_shot_learner(
        ways=WAYS, input_shape=(SIDE, SIDE, 1), filters=filters, warp=None
    )
    result = warptf.OnlineMetaLearner(
        model,
        warptf.inner_optimizers.SGD(INNER_RATE),
        inner_steps,
        objective=None,
        initialization=warptf.initializations.MAML(),
    )
    result.compile(keras.optimizers.SGD(OUTER_RATE), _loss(), vectorize_tasks=together)
    return result


def meta_step(meta: Any, data: tf.data.Dataset) -> Callable[[], Any]:
    """Returns one meta-step, the compiled function that `fit` calls.

    Args:
        meta: a compiled meta-learner.
        data: a data set of tasks without end.
    """
    meta.make_train_function()
    iterator: Iterator[Any] = iter(data)
    return lambda: meta.train_function(iterator)


def in_memory(task: warptf.tasks.Task) -> tf.data.Dataset:
    """Returns a data set that yields one meta-batch, held in memory, without end."""
    return prefetched(tf.data.Dataset.from_tensors(task).repeat())


def random_task(algorithm: Algorithm, *axes: int) -> warptf.tasks.Task:
    """Returns a meta-batch of random images with the parts that an algorithm takes.

    Args:
        algorithm: offline, the query has no step axis and there are batches to replay.
        *axes: sizes of the axes `T, K, B`, or `T, B` for sets that serve every step.
    """
    if algorithm == "online":
        return warptf.tasks.Task(support=_batch(*axes, seed=0), query=_batch(*axes, seed=1))
    return warptf.tasks.Task(
        support=_batch(*axes, seed=0),
        query=_batch(axes[0], axes[-1], seed=1),
        replay=(_batch(*axes, seed=2), _batch(*axes, seed=3)),
    )


def _batch(*axes: int, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(seed)
    x = random.random((*axes, SIDE, SIDE, 1), dtype="float32")
    return tf.constant(x), tf.constant(random.integers(0, WAYS, axes, dtype="int32"))


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
