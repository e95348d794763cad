"""Registration of layer classes with Keras, so that saved models name them."""

import keras


def register_layer_class(cls: type) -> None:
    """Registers `cls` with Keras under the package its module belongs to.

    Classes of this library are registered as `warptf>Name`, a user's as `module>Name`, so that a
    `.keras` file loads without `custom_objects` wherever the class has been defined.

    Args:
        cls: the class to register; it must be serialisable by Keras.
    """
    package = "warptf" if cls.__module__.split(".")[0] == "warptf" else cls.__module__
    keras.saving.register_keras_serializable(package=package)(cls)
