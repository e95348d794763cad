"""The augment and compress approaches: inserting layers into an existing model."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras.layers import Layer

from warptf.architecture.designated_model import put_together, take_apart
from warptf.architecture.layer_selection import (
    Selector,
    available_layers,
    check_model,
    is_graph,
    select_layers,
)
from warptf.layers.task_layer import TaskLayer
from warptf.layers.warp import Warp
from warptf.layers.warp_layer import WarpLayer
from warptf.partition import TASK, WARP, child_layers, iterate_layers


def interleave(
    model: keras.Model,
    after: Selector,
    warp: Callable[..., Layer] | None = None,
    task: Callable[..., Layer] | None = None,
) -> keras.Model:
    r"""Inserts new layers after layers of an existing model: the augment and compress approaches.

    With `warp` (augment) the new layers are warp layers, the others stay as they are. With `task`
    (compress) every existing layer becomes a warp layer and the new ones are task layers. A layer
    that the model uses in several places is followed by the one new layer in all of them.

    Args:
        model: a functional or sequential Keras model, also with such models nested in it. Its
            layers are shared, not copied.
        after: selects the layers to insert after, as in `designate`.
        warp: makes a warp layer, `lambda: WarpDense()`, or from the layer before it,
            `lambda layer: WarpDense(layer.units)`. A layer of another kind is wrapped in `Warp`.
        task: makes a task layer, the same way.

    Returns:
        A new model; with `task`, or if `model` is one, a `DesignatedModel`.

    Raises:
        TypeError: the model is subclassed, or an argument is of the wrong type.
        ValueError: not exactly one of `warp` and `task` is given; a selector matches nothing, or a
            name several layers; a selected layer has several outputs, or is inside a layer that
            cannot be taken apart.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential([
        ...     keras.Input((2,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(1)])
        >>> augmented = warptf.interleave(model, after="hidden", warp=warptf.layers.WarpDense)
        >>> [tuple(v.shape) for v in warptf.partition(augmented).warp_variables]
        [(8, 8), (8,)]
        >>> compressed = warptf.interleave(
        ...     model, after="hidden", task=warptf.layers.FiLMTaskEmbedding)
        >>> len(warptf.partition(compressed).warp_variables)
        4

    Reference:
        Flennerhag et al., arXiv 1909.00025, section 2.
    """
    check_model("model", model)
    base, kinds = take_apart(model)
    if not is_graph(base):
        raise TypeError(
            f"model {base.name!r} is subclassed ({type(base).__name__}), so layers cannot be "
            "inserted: add the layers in its call, or declare existing ones with warptf.designate."
        )
    if (warp is None) == (task is None):
        raise ValueError(
            f"exactly one of warp and task must be given, got warp={warp!r} and task={task!r}."
        )
    targets = select_layers(base, "after", after)
    if not targets:
        raise ValueError(f"after selects no layer, got {after!r}: {available_layers(base)}.")
    inserter = _Inserter(targets, _factory("warp", warp) if warp else _factory("task", task))
    rebuilt = inserter.rebuild(base)
    inserter.check_complete(base)
    kinds = {
        id(inserter.counterpart(layer)): kinds[id(layer)]
        for _, layer in iterate_layers(base)
        if id(layer) in kinds
    }
    if task is not None:
        kinds = _compressed(rebuilt, inserter.inserted)
    return put_together(rebuilt, kinds) if kinds else rebuilt


def _compressed(model: keras.Model, inserted: dict[int, Layer]) -> dict[int, str]:
    """Declares every layer warp but the inserted ones; layers that say what they are keep it."""
    new = {id(layer) for layer in inserted.values()}
    kinds = {
        id(layer): WARP
        for layer in child_layers(model)
        if id(layer) not in new and not isinstance(layer, TaskLayer)
    }
    # A task layer declares itself, and whether it is context.
    plain = (layer for layer in inserted.values() if not isinstance(layer, TaskLayer))
    return {**kinds, **{id(layer): TASK for layer in plain}}


class _Inserter:
    """Rebuilds a graph of layers with new layers after some of them."""

    def __init__(self, targets: list[Layer], factory: Callable[[Layer], Layer]) -> None:
        self.targets = {id(layer): layer for layer in targets}
        self.factory = factory
        self.inserted: dict[int, Layer] = {}
        self._rebuilt: dict[int, Layer] = {}
        self._originals: dict[int, Layer] = {}

    def rebuild(self, model: keras.Model) -> keras.Model:
        """Returns a model of the same layers with the new ones inserted."""
        if isinstance(model, keras.Sequential):
            return self._rebuild_sequential(model)
        return keras.models.clone_model(
            model, clone_function=self.counterpart, call_function=self._call
        )

    def counterpart(self, layer: Layer) -> Layer:
        """Returns what stands for a layer: itself, or its rebuilt model."""
        if id(layer) not in self._rebuilt:
            nested = (inner for _, inner in iterate_layers(layer))
            opened = is_graph(layer) and any(id(inner) in self.targets for inner in nested)
            self._rebuilt[id(layer)] = self.rebuild(layer) if opened else layer
            self._originals[id(self._rebuilt[id(layer)])] = layer
        return self._rebuilt[id(layer)]

    def check_complete(self, model: keras.Model) -> None:
        """Raises an error if a target was not reached."""
        missed = [
            path
            for path, layer in iterate_layers(model)
            if id(layer) in self.targets and id(layer) not in self.inserted
        ]
        if missed:
            raise ValueError(
                f"after selects {', '.join(missed)}, inside a layer that is neither a functional "
                "nor a sequential model: select the layer around it."
            )

    def _rebuild_sequential(self, model: keras.Sequential) -> keras.Sequential:
        layers: list[Any] = []
        if model.built and model.inputs:
            given = model.inputs[0]
            layers.append(keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name))
        for layer in model.layers:
            layers.append(self.counterpart(layer))
            if id(layer) in self.targets:
                layers.append(self._insertion(layer))
        return keras.Sequential(layers, name=model.name)

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        original = self._originals.get(id(operation), operation)
        if id(original) not in self.targets:
            return outputs
        if isinstance(outputs, (list, tuple, dict)):
            raise ValueError(
                f"after selects {original.name!r}, which returns several outputs, so it is not "
                "clear which one to continue from: insert the layer where the model is made."
            )
        return self._insertion(original)(outputs)

    def _insertion(self, layer: Layer) -> Layer:
        if id(layer) not in self.inserted:
            self.inserted[id(layer)] = self.factory(layer)
        return self.inserted[id(layer)]


def _factory(kind: str, make: Any) -> Callable[[Layer], Layer]:
    """Returns a factory from the preceding layer that yields layers of the right kind."""
    if not callable(make) or isinstance(make, Layer):
        raise TypeError(
            f"{kind} must be a function or class that makes a layer, got {make!r}: pass "
            f"{kind}=lambda: ...; each place needs a layer of its own."
        )
    takes_layer = not inspect.isclass(make) and any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in inspect.signature(make).parameters.values()
    )
    forbidden = TaskLayer if kind == WARP else WarpLayer

    def checked(layer: Layer) -> Layer:
        made = make(layer) if takes_layer else make()
        if not isinstance(made, Layer) or isinstance(made, forbidden):
            raise TypeError(
                f"{kind} must make a Keras layer that is no {forbidden.__name__}, got "
                f"{type(made).__name__}: use the other of warp and task, or another layer."
            )
        return Warp(made) if kind == WARP and not isinstance(made, WarpLayer) else made

    return checked
