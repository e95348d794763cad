"""Copies of Keras models."""

import keras

from warptf.partition import iterate_layers


def copy_model(model: keras.Model) -> keras.Model:
    """Returns a model of the same architecture with the same values, sharing nothing.

    Args:
        model: a built Keras model that can be made from its configuration.

    Raises:
        ValueError: it cannot.
    """
    classes = {type(layer) for _, layer in iterate_layers(model)} | {type(model)}
    try:
        # The classes of the model at hand count, also where another is registered by their name.
        names = {keras.saving.get_registered_name(cls): cls for cls in classes}
        with keras.saving.custom_object_scope(names):
            config = keras.saving.serialize_keras_object(model)
            # The configuration comes from a live object of this process, not from a file.
            copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"model {model.name!r} cannot be copied from its configuration: give its class "
            f"{type(model).__name__} a get_config() that returns its constructor's arguments "
            f"({error})."
        ) from error
    if not copy.built:
        raise ValueError(
            f"the copy of model {model.name!r} has no variables: give its class "
            f"{type(model).__name__} a build() method, or call it on data in its constructor."
        )
    copy.set_weights(model.get_weights())
    return copy
