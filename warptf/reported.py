"""The type in which losses and metrics are reported."""

import keras
import tensorflow as tf


def reported_dtype() -> tf.DType:
    """Returns the type of reported losses and metrics: Keras' own, and at least `float32`.

    Example:
        >>> reported_dtype()
        tf.float32
    """
    return tf.float64 if keras.config.floatx() == "float64" else tf.float32
