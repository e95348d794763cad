"""The partition approach: declaring layers of an existing model."""

import keras

from warptf.architecture.designated_model import DesignatedModel, put_together, take_apart
from warptf.architecture.layer_selection import (
    Selector,
    available_layers,
    check_model,
    select_layers,
)
from warptf.partition import TASK, WARP


def designate(model: keras.Model, warp: Selector = (), task: Selector = ()) -> DesignatedModel:
    r"""Declares layers of an existing model warp, or task: the partition approach.

    The weights of the warp layers, and of what is nested in them, are $\phi$; all others are
    $\theta$. A layer inside a warp layer may be declared task: the innermost declaration wins.
    Declaring a layer anew replaces what `designate` declared before.

    A selector is a layer, its name or its path (`"encoder/conv1"`), a layer class, a predicate on
    layers, or an iterable of these.

    Args:
        model: a built Keras model: functional, sequential or subclassed. It is shared, not copied.
        warp: selects the warp layers.
        task: selects the task layers.

    Returns:
        A `DesignatedModel`, called and saved like the model.

    Raises:
        TypeError: `model` is no Keras model, or a selector is of no known kind.
        ValueError: the model is not built; a selector matches nothing, or a name several layers; a
            layer is selected as both; or nothing is selected.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential([
        ...     keras.Input((2,)),
        ...     keras.layers.Dense(8, activation="relu", name="hidden"),
        ...     keras.layers.Dense(1, name="head"),
        ... ])
        >>> learner = warptf.designate(model, warp="hidden")
        >>> [tuple(v.shape) for v in warptf.partition(learner).warp_variables]
        [(2, 8), (8,)]

    Reference:
        Flennerhag et al., arXiv 1909.00025, section 2.
    """
    check_model("model", model)
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is not built, so its layers are not all known: call it on a "
            "batch, or give it an Input, first."
        )
    base, kinds = take_apart(model)
    selected = {WARP: select_layers(base, "warp", warp), TASK: select_layers(base, "task", task)}
    both = [layer.name for layer in selected[WARP] if layer in selected[TASK]]
    if both:
        raise ValueError(f"warp and task both select {', '.join(both)}: select each layer once.")
    if not selected[WARP] and not selected[TASK]:
        raise ValueError(
            f"warp={warp!r} and task={task!r} select no layer: pass at least one of the two; "
            f"{available_layers(base)}."
        )
    for kind, layers in selected.items():
        kinds.update({id(layer): kind for layer in layers})
    return put_together(base, kinds)
