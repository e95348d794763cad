"""Which variable of a model is task, context, warp or state."""

import dataclasses
from typing import Any

import keras

from warptf.layers.task_layer import TaskLayer
from warptf.layers.warp_layer import WarpLayer
from warptf.partition.keras_internals import own_layers, own_variables

TASK, CONTEXT, WARP = "task", "context", "warp"


@dataclasses.dataclass(frozen=True)
class Partition:
    r"""The variables of a model by the part they play, each list in the model's own order.

    Attributes:
        task_variables: $\theta$, adapted by the inner loop from $\theta_0$.
        context_variables: $c$, adapted too, always from zero.
        warp_variables: $\phi$, frozen in adaptation.
        state_variables: $s$, not trainable: batch-norm statistics, random state, frozen weights.
    """

    task_variables: tuple[keras.Variable, ...]
    context_variables: tuple[keras.Variable, ...]
    warp_variables: tuple[keras.Variable, ...]
    state_variables: tuple[keras.Variable, ...]


def partition(model: keras.Model) -> Partition:
    """Sorts the variables of a model into task, context, warp and state variables.

    A trainable variable belongs to the innermost declaration around it: a `warptf.WarpLayer`, a
    `warptf.TaskLayer`, or a `warptf.designate`d layer; without one it is a task variable. A layer
    that is shared between a warp layer and undeclared places is a warp layer.

    Args:
        model: a built Keras model.

    Returns:
        The `Partition`, in the order of `model.trainable_variables`.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: the model is not built, or a layer is declared both warp and task.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential(
        ...     [keras.Input((2,)), keras.layers.Dense(3), warptf.layers.WarpDense(3)])
        >>> parts = warptf.partition(model)
        >>> [v.name for v in parts.task_variables]
        ['kernel', 'bias']
        >>> [tuple(v.shape) for v in parts.warp_variables]
        [(3, 3), (3,)]

    Reference:
        arXiv 1909.00025, section 2.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}.")
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is not built, so it has no variables to sort yet: call it on a "
            "batch, or give it an Input, first."
        )
    declared = _declarations(model)
    parts: dict[str, list[keras.Variable]] = {TASK: [], CONTEXT: [], WARP: []}
    for variable in model.trainable_variables:
        parts[_resolve(variable, declared)].append(variable)
    return Partition(
        tuple(parts[TASK]),
        tuple(parts[CONTEXT]),
        tuple(parts[WARP]),
        tuple(model.non_trainable_variables),
    )


def _declarations(model: keras.Model) -> dict[int, set[str]]:
    """Maps the id of each variable to the declarations that reach it."""
    declared: dict[int, set[str]] = {}

    def walk(layer: Any, inherited: str | None, overrides: dict[int, str]) -> None:
        kind = overrides.get(id(layer)) or _own_declaration(layer) or inherited
        # A designated model carries the declarations for the layers below it.
        overrides = {**overrides, **getattr(layer, "designations", dict)()}
        for variable in own_variables(layer):
            kinds = declared.setdefault(id(variable), set())
            if kind is not None:
                kinds.add(kind)
        for child in own_layers(layer):
            walk(child, kind, overrides)

    walk(model, None, {})
    return declared


def _own_declaration(layer: Any) -> str | None:
    if isinstance(layer, WarpLayer):
        return WARP
    if isinstance(layer, TaskLayer):
        return CONTEXT if layer.context else TASK
    return None


def _resolve(variable: keras.Variable, declared: dict[int, set[str]]) -> str:
    kinds = declared.get(id(variable), set())
    if len(kinds) > 1:
        raise ValueError(
            f"variable {variable.path!r} belongs to a shared layer that is declared both "
            f"{' and '.join(sorted(kinds))}: declare it the same everywhere, or use two layers."
        )
    return next(iter(kinds), TASK)
