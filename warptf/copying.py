"""Copies of Keras models."""

import copy
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf.adapted_model import AdaptedModel
from warptf.partition import all_variables, iterate_layers, random_state_variables
from warptf.resources import resources

_KNOWN = ("keras", "warptf")
_KNOWN_FUNCTIONS = (*_KNOWN, "tensorflow", "numpy", "builtins")
# What TensorFlow raises where a model asks for what cannot be, and not where a machine fails.
_OF_THE_MODEL = (
    tf.errors.InvalidArgumentError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.UnimplementedError,
)


def copy_model(model: keras.Model, examples: Any = None) -> keras.Model:
    """Returns a model that predicts the same and shares nothing that training changes.

    The copy is what Keras would load if it had saved the model: of the same class, with all that
    layers save, vocabularies and moments of the data as well as weights. A model that cannot be
    made so, or that would predict something else, is held by an `AdaptedModel`.

    Args:
        model: a built Keras model with task variables.
        examples: inputs by which a model of a user's classes and its copy are compared.
    """
    made, reason = made_anew(model, examples)
    return AdaptedModel(model, reason) if made is None else made


def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer of the same class with all that Keras saves of it, sharing nothing.

    Args:
        layer: a built layer or model.

    Raises:
        Exception: whatever Keras, or the layer's class, raises where it cannot be made anew.
    """
    classes = {type(part) for _, part in iterate_layers(layer)} | {type(layer)}
    # The classes of the layer at hand count, also where another is registered by their name. Keras
    # finds its own by their modules: by name alone, layers.Add would stand for ops.Add, too.
    own = {cls for cls in classes if cls.__module__.split(".")[0] != "keras"}
    names = {keras.saving.get_registered_name(cls): cls for cls in own}
    with keras.saving.custom_object_scope(names), warnings.catch_warnings():
        # Keras warns of lambdas in files; this is a live object of this process.
        warnings.simplefilter("ignore")
        # Keras' models are copied by what saves them and loads them, in memory.
        return copy.deepcopy(layer)


def made_anew(model: keras.Model, examples: Any = None) -> tuple[keras.Model | None, str]:
    """Returns a model as Keras would load it, or `None` and why it cannot.

    Args:
        model: a built Keras model.
        examples: inputs by which a model of a user's classes and its copy are compared.

    Raises:
        tf.errors.OpError: a machine failed meanwhile, which says nothing about the model.
    """
    kind = type(model).__name__
    remedy = f"give its class {kind} a get_config() that returns its constructor's arguments"
    if _package(type(model)) in _KNOWN:
        remedy = (
            "give classes of your own in it a get_config() that returns their constructors' "
            "arguments, and functions @keras.saving.register_keras_serializable()"
        )
    try:
        made = copy_layer(model)
    except Exception as error:
        if isinstance(error, tf.errors.OpError) and not isinstance(error, _OF_THE_MODEL):
            raise
        # What a user's constructor raises may be anything.
        # Keras tells it last, after what it was about to do.
        problem = " ".join(str(error).rpartition("Exception encountered:")[2].split())[:120]
        reason = f"{kind} cannot be made anew from its configuration"
        return None, f"{reason}: {remedy} ({type(error).__name__}: {problem})"
    # Keras leaves some random generators where they start anew: no difference in what is learned.
    for own, other in zip(
        random_state_variables(model), random_state_variables(made), strict=False
    ):
        other.assign(own)
    difference = _difference(model, made)
    if difference is None and examples is not None and has_user_code(model):
        difference = _predicted_difference(model, made, examples)
    if difference is None:
        return made, ""
    if not has_user_code(model):
        remedy = "so Keras would load it (of a layer with adapters, these are added to its kernel)"
    return None, f"{kind}, made anew from its configuration, {difference}: {remedy}"


def has_user_code(model: keras.Model) -> bool:
    """Returns whether a model has classes or functions that are neither Keras' nor this package's.

    Args:
        model: a Keras model.
    """
    layers = [model, *(layer for _, layer in iterate_layers(model))]
    return any(
        _package(type(layer)) not in _KNOWN
        or isinstance(layer, keras.layers.Lambda)
        # Activations, initializers and the like.
        or any(
            callable(part) and _package(part) not in _KNOWN_FUNCTIONS
            for part in vars(layer).values()
        )
        for layer in layers
    )


def has_adapters(model: keras.Model) -> bool:
    """Returns whether a model has layers that Keras saves with their adapters merged.

    Args:
        model: a Keras model.
    """
    return any(getattr(layer, "lora_enabled", False) for _, layer in iterate_layers(model))


def _package(thing: Any) -> str:
    """Returns the name of the package that a class, a function or an object's class is of."""
    return str(getattr(thing, "__module__", None) or type(thing).__module__).split(".")[0]


def _difference(model: keras.Model, made: keras.Model) -> str | None:
    """Returns in which state a copy differs, or `None`."""
    ours, theirs = all_variables(model), all_variables(made)
    if len(ours) != len(theirs):
        return f"has {len(theirs)} variables instead of {len(ours)}"
    for own, other in zip(ours, theirs, strict=True):
        if (own.shape, own.dtype) != (other.shape, other.dtype) or not np.array_equal(
            own.numpy(), other.numpy()
        ):
            return f"has another variable {own.path!r}"
    tables = [[_contents(part) for part in resources(of)] for of in (model, made)]
    return None if tables[0] == tables[1] else "has other lookup tables"


def _contents(resource: Any) -> Any:
    """Returns what a lookup table holds, or the value of a variable."""
    if isinstance(resource, tf.Variable):
        return resource.numpy().tolist()
    if not hasattr(resource, "export"):
        return None
    try:
        keys, values = (part.numpy().tolist() for part in resource.export())
    except tf.errors.FailedPreconditionError:
        return None  # It was never filled.
    return sorted(zip(keys, values, strict=True))


def _predicted_difference(model: keras.Model, made: keras.Model, examples: Any) -> str | None:
    """Returns that a copy predicts something else for examples, or `None`."""
    ours, theirs = (
        [np.asarray(part) for part in tf.nest.flatten(one(examples, training=False))]
        for one in (model, made)
    )
    same = len(ours) == len(theirs) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    return None if same else "predicts something else"
