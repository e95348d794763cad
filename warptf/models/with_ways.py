"""Models with a head for another number of classes."""

from typing import Any

import keras

from warptf.layers.class_mean_head import ClassMeanHead
from warptf.layers.validation import positive_integer


def with_ways(model: keras.Model, ways: int) -> keras.Model:
    """Copies a model with another number of classes in its `layers.ClassMeanHead`.

    Nothing of such a head is learned but where it starts, so that what was meta-trained with one
    number of classes serves another.

    Args:
        model: a model with a `ClassMeanHead`, that can be made from its configuration.
        ways: classes of a task, at most.

    Raises:
        ValueError: it has no such head, or `ways` is no positive integer.

    Example:
        >>> import keras, warptf
        >>> head = warptf.layers.ClassMeanHead(5)
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), head])
        >>> warptf.models.with_ways(model, 12).output_shape
        (None, 12)
    """
    positive_integer("ways", ways)
    config = keras.saving.serialize_keras_object(model)
    if not _set_units(config, ways):
        raise ValueError(
            f"model {model.name!r} has no ClassMeanHead, and another head knows the classes it was "
            "made for: build it with one (warptf.models.class_mean_learner)."
        )
    # The configuration comes from a live object of this process, not from a file.
    copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
    for old, new in zip(model.variables, copy.variables, strict=True):
        if old.shape == new.shape:
            new.assign(old)
    return copy


def _set_units(config: Any, ways: int) -> bool:
    """Sets the units of all heads in a configuration, and returns whether there are any."""
    if isinstance(config, dict):
        if config.get("registered_name") == keras.saving.get_registered_name(ClassMeanHead):
            config["config"]["units"] = ways
            return True
        return any([_set_units(value, ways) for value in config.values()])
    if isinstance(config, list | tuple):
        return any([_set_units(value, ways) for value in config])
    return False
