"""What only Keras' private names tell. No other file of this part knows them."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.losses import loss as keras_loss
from keras.src.trainers import compile_utils


def own_layers(layer: keras.layers.Layer) -> list[Any]:
    """Returns what is directly in a layer, input layers included, in a reproducible order.

    Args:
        layer: the layer or model to look into.
    """
    return layer._layers


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the trainable variables that a layer holds itself, and not by other layers.

    Args:
        layer: the layer.
    """
    return layer._trainable_variables


def seed_generators(layer: keras.layers.Layer) -> list[keras.random.SeedGenerator]:
    """Returns the random generators that a layer holds itself.

    Args:
        layer: the layer.
    """
    return layer._seed_generators


def built_shapes(model: keras.Model) -> list[Any]:
    """Returns the shapes that a subclassed model was built with, of each argument of its call.

    Args:
        model: a built Keras model.
    """
    return list((model._build_shapes_dict or {}).values())


class _ReplicaScaling:
    """Counts the scopes that are open in all threads, for replicas are traced in turns."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.originals = (
            keras_loss.scale_loss_for_distribution,
            keras_loss.unscale_loss_for_distribution,
        )

    def change(self, step: int) -> None:
        with self.lock:
            self.depth += step
            scale, unscale = (lambda value: value,) * 2 if self.depth else self.originals
            keras_loss.scale_loss_for_distribution = scale
            keras_loss.unscale_loss_for_distribution = unscale


_REPLICA_SCALING = _ReplicaScaling()


@contextlib.contextmanager
def losses_of_one_replica() -> Iterator[None]:
    """Keeps Keras from dividing mean losses by the number of replicas.

    Keras does so for gradients that are summed over replicas; a task is learned on one alone.
    """
    change = int(tf.distribute.get_strategy().num_replicas_in_sync > 1)
    _REPLICA_SCALING.change(change)
    try:
        yield
    finally:
        _REPLICA_SCALING.change(-change)


def compile_loss(loss: Any, loss_weights: Any, output_names: Any) -> Any:
    """Returns the function that `keras.Model.compile` makes of a loss.

    Args:
        loss: loss, or structure of losses.
        loss_weights: their weights, or `None`.
        output_names: names of the model's outputs, or `None`.
    """
    return compile_utils.CompileLoss(loss, loss_weights, output_names=output_names)


def compile_metrics(metrics: Any, weighted_metrics: Any, output_names: Any) -> Any:
    """Returns the metric that `keras.Model.compile` makes of all metrics.

    Args:
        metrics: list or dict of metrics, or `None`.
        weighted_metrics: those that sample weights weigh, or `None`.
        output_names: names of the model's outputs, or `None`.
    """
    return compile_utils.CompileMetrics(metrics, weighted_metrics, output_names=output_names)


def losses_of_outputs(compiled: Any) -> list[tuple[tuple[Any, ...], Any, str]]:
    """Returns path to the output, loss and name of each loss that `compile_loss` has built.

    Args:
        compiled: what `compile_loss` returned, built.
    """
    return [(path, loss, name) for path, loss, _, name in compiled._flat_losses]


def listed_metrics(compiled: Any) -> keras.metrics.Metric:
    """Returns built metrics in the one form in which Keras' callbacks look into them.

    Args:
        compiled: what `compile_metrics` returned, built.
    """
    return compile_utils.MetricsList(compiled.metrics)


def names_of_metrics(compiled: Any) -> list[str]:
    """Returns the names under which Keras reports built metrics.

    Args:
        compiled: what `compile_metrics` returned, built; of no further use.
    """
    for metrics in (*compiled._flat_metrics, *compiled._flat_weighted_metrics):
        if metrics is not None:
            # Their results may need data that are not there yet, their names do not.
            metrics.metrics = [keras.metrics.Mean(name=m.name) for m in metrics.metrics]
    return list(compiled.result())
