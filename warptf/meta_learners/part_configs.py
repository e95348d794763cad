"""The parts of a meta-learner in its configuration."""

from collections.abc import Sequence
from typing import Any

import keras


def serialized(learner: keras.Model, names: Sequence[str]) -> dict[str, Any]:
    """Returns the parts of a meta-learner, serialised.

    Args:
        learner: the meta-learner.
        names: the arguments of its constructor that the parts are.
    """
    return {name: keras.saving.serialize_keras_object(getattr(learner, name)) for name in names}


def deserialized(
    config: dict[str, Any], names: Sequence[str], custom_objects: Any = None
) -> dict[str, Any]:
    """Returns a configuration with the parts that it holds made anew.

    Args:
        config: the configuration.
        names: the parts that it may hold.
        custom_objects: classes by name, as Keras takes them.
    """
    parts = {
        name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        for name in names
        if name in config
    }
    return {**config, **parts}
