"""Finding layers in a model: by selectors, and by paths that survive saving."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
from keras.layers import Layer

from warptf.partition import child_layers, iterate_layers

Predicate = Callable[[Layer], bool]
Selector = Layer | str | type | Predicate | Iterable[Any]
LayerPath = list[str | int]


def check_model(name: str, model: Any) -> None:
    """Checks that an argument is a Keras model.

    Args:
        name: the argument's name, for the message.
        model: the value received.

    Raises:
        TypeError: it is no `keras.Model`.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"{name} must be a keras.Model, got {type(model).__name__}: pass the model itself."
        )


def is_graph(layer: Layer) -> bool:
    """Returns whether a layer is a functional or sequential model.

    Args:
        layer: any Keras layer.
    """
    return isinstance(layer, (keras.Sequential, keras.Function))


def iterate_paths(
    model: Layer, prefix: tuple[str | int, ...] = ()
) -> Iterator[tuple[LayerPath, Layer]]:
    """Yields `(path, layer)` of all layers nested in `model`, outer before inner.

    A step of a path is a name below a functional or sequential model, which save their layers'
    names, and a position elsewhere: a subclassed model may name its layers anew when it is loaded.

    Args:
        model: the layer or model to walk.
        prefix: what the paths start with.
    """
    named = is_graph(model)
    for index, layer in enumerate(child_layers(model)):
        path = (*prefix, layer.name if named else index)
        yield list(path), layer
        yield from iterate_paths(layer, path)


def follow_path(model: Layer, path: LayerPath) -> Layer:
    """Returns the layer that a path of `iterate_paths` leads to.

    Args:
        model: the model that the path starts from.
        path: the names and positions to follow.

    Raises:
        ValueError: it leads to no layer.
    """
    layer = model
    for key in path:
        children = child_layers(layer)
        if isinstance(key, int):
            found = children[key : key + 1]
        else:
            found = [child for child in children if child.name == key]
        if not found:
            raise ValueError(
                f"path {path!r} leads to no layer of model {model.name!r}: there is no {key!r} in "
                f"{layer.name!r}."
            )
        layer = found[0]
    return layer


def select_layers(model: keras.Model, argument: str, selector: Any) -> list[Layer]:
    """Returns the layers that a selector matches, each once.

    Args:
        model: the model to look in.
        argument: the name of the argument that the selector was passed as, for messages.
        selector: a layer, a name, a path, a layer class, a predicate, or an iterable of these.

    Raises:
        TypeError: the selector is of none of these kinds.
        ValueError: it matches no layer, or a name matches several.
    """
    if isinstance(selector, Layer):
        chosen = [layer for _, layer in iterate_layers(model) if layer is selector]
    elif isinstance(selector, str):
        chosen = _select_name(model, argument, selector)
    elif inspect.isclass(selector):
        chosen = [layer for _, layer in iterate_layers(model) if isinstance(layer, selector)]
    elif callable(selector):
        chosen = [layer for _, layer in iterate_layers(model) if selector(layer)]
    elif isinstance(selector, Iterable):
        parts = [select_layers(model, argument, part) for part in selector]
        return list({id(layer): layer for part in parts for layer in part}.values())
    else:
        raise TypeError(
            f"{argument} must be a layer, a name, a path, a layer class, a predicate or an "
            f"iterable of these, got {selector!r}."
        )
    if not chosen:
        raise ValueError(f"{argument}={selector!r} matches no layer: {available_layers(model)}.")
    return list({id(layer): layer for layer in chosen}.values())


def _select_name(model: keras.Model, argument: str, name: str) -> list[Layer]:
    matches = [(p, layer) for p, layer in iterate_layers(model) if p == name or layer.name == name]
    exact = [(path, layer) for path, layer in matches if path == name]
    matches = exact or matches
    if len({id(layer) for _, layer in matches}) > 1:
        raise ValueError(
            f"{argument}={name!r} is ambiguous: it matches {', '.join(p for p, _ in matches)}. "
            "Pass a path, or the layer itself."
        )
    return [layer for _, layer in matches]


def available_layers(model: keras.Model) -> str:
    """Returns a clause that lists the paths of a model's layers, for messages.

    Args:
        model: the model.
    """
    names = dict.fromkeys(path for path, _ in iterate_layers(model))
    return f"the model's layers are {', '.join(names)}"
