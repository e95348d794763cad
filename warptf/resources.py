"""What a model computes with besides its weights."""

from typing import Any

import keras
import tensorflow as tf

_KINDS = (tf.Variable, tf.saved_model.experimental.TrackableResource)


def resources(model: keras.Model) -> list[Any]:
    """Returns the lookup tables and variables of a model that are no weights of Keras'.

    A SavedModel holds what its module refers to: a function that looks words up in a table needs
    the table there, as it needs the variables.

    Args:
        model: a Keras model.

    Example:
        >>> import keras
        >>> words = keras.layers.StringLookup(vocabulary=["cat", "dog"])
        >>> model = keras.Sequential([keras.Input((1,), dtype="string"), words])
        >>> [type(table).__name__ for table in resources(model)]
        ['StaticHashTable']
    """
    found = tf.train.TrackableView(model).descendants()
    return [node for node in found if isinstance(node, _KINDS)]
