"""Every public layer, in each of its example configurations."""

import inspect

import keras
from contracts.layer import BASES, IMAGE, SEQUENCE, Example, layer_examples
from reinforcement.cells import CELLS

from warptf import layers

# Layers that hold no weights of a part of their own, and so have no place in the layers' contract.
PLAIN = {
    "BatchNormalization": Example(layers.BatchNormalization, IMAGE),
    "MaxPooling2D": Example(layers.MaxPooling2D, IMAGE),
}


def layer_rows() -> dict[str, Example]:
    """Every public layer and recurrent cell, by discovery."""
    found = {}
    for name, example in layer_examples().items():
        layer, case = name.split("-", 1)
        found[layer if case == "default" else f"{layer} ({case})"] = example
    covered = {name.split(" ")[0] for name in found} | BASES
    for name in sorted(set(layers.__all__) - covered):
        if inspect.isclass(cls := getattr(layers, name)) and issubclass(cls, keras.layers.Layer):
            assert name in PLAIN, f"add an example of {name} to PLAIN in {__name__}"
            found[name] = PLAIN[name]
    return found | _cells()


def _cells() -> dict[str, Example]:
    found: dict[str, Example] = {}
    for case, make in CELLS.items():
        name = type(make()).__name__

        def layer(make=make, **kwargs) -> keras.layers.Layer:
            return keras.layers.RNN(make(**kwargs), **kwargs)

        found[f"{name} ({case})" if name in found else name] = Example(layer, SEQUENCE)
    return found
