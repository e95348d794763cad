"""The layers of a model, and the variables that they hold."""

from collections.abc import Iterator
from typing import Any

import keras

from warptf.partition.keras_internals import own_layers, seed_generators


def iterate_layers(model: keras.layers.Layer, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `(path, layer)` of all layers nested in `model`, outer before inner.

    Args:
        model: the layer or model to walk.
        prefix: what the paths start with.
    """
    for layer in child_layers(model):
        path = f"{prefix}{layer.name}"
        yield path, layer
        yield from iterate_layers(layer, f"{path}/")


def child_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers directly in `layer`, input layers left out, in a reproducible order.

    Args:
        layer: the layer or model to look into.
    """
    return [child for child in own_layers(layer) if not isinstance(child, keras.layers.InputLayer)]


def all_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables of a model, those that are trained first, in a reproducible order.

    Args:
        model: a built Keras model.
    """
    return [*model.trainable_variables, *model.non_trainable_variables]


def random_state_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of a model's random generators, in a reproducible order.

    Args:
        model: a built Keras model.
    """
    layers = (model, *(layer for _, layer in iterate_layers(model)))
    return [generator.state for layer in layers for generator in seed_generators(layer)]


def variables_of_layer(model: keras.Model, path: str | None = None) -> list[keras.Variable]:
    """Returns the trainable variables of one layer of a model.

    Args:
        model: a built Keras model.
        path: the layer's path in the model, its name for a direct child; the last layer that has
            trainable variables if `None`.

    Raises:
        ValueError: there is no such layer.
    """
    layers = {p: layer for p, layer in iterate_layers(model) if layer.trainable_variables}
    if path is None and layers:
        path = list(layers)[-1]
    if path not in layers:
        raise ValueError(
            f"model {model.name!r} has no layer {path!r} with trainable variables; it has "
            f"{sorted(layers)}."
        )
    return layers[path].trainable_variables
