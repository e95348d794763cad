"""Every activation that Keras exports."""

import inspect

import keras
from contracts.keras_row import Row

# How Keras finds and stores them.
HELPERS = {"deserialize", "get", "serialize"}
ARGUMENTS = {"threshold": {"threshold": 0.1, "default_value": -0.3}}


def activation_names() -> list[str]:
    """The names of all activations, by discovery."""
    found = inspect.getmembers(keras.activations, callable)
    return [name for name, _ in found if name not in HELPERS]


def activation_rows() -> dict[str, Row]:
    """Each activation by name, as a layer."""
    return {name: _row(name) for name in activation_names()}


def _row(name: str) -> Row:
    function, arguments = getattr(keras.activations, name), ARGUMENTS.get(name, {})
    return Row(lambda: keras.layers.Activation(lambda x: function(x, **arguments)), (4,))
