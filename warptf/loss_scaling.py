"""Losses multiplied by a factor while they are differentiated in half precision."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from warptf.partition import iterate_layers

_scale: contextvars.ContextVar[Any] = contextvars.ContextVar("loss_scale", default=None)


def needs_loss_scaling(model: keras.Model) -> bool:
    r"""Returns whether a model computes in `float16` with weights of more precision.

    Gradients smaller than $2^{-24}$ are zero in `float16`; `bfloat16` has the range of `float32`.

    Args:
        model: a Keras model.

    Example:
        >>> import keras
        >>> inputs = keras.Input((2,))
        >>> needs_loss_scaling(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
        False
        >>> half = keras.layers.Dense(1, dtype="mixed_float16")
        >>> needs_loss_scaling(keras.Model(inputs, half(inputs)))
        True
    """
    return any(
        layer.compute_dtype == "float16" != layer.variable_dtype
        for layer in (model, *(layer for _, layer in iterate_layers(model)))
    )


@contextlib.contextmanager
def losses_scaled_by(scale: Any) -> Iterator[None]:
    """Lets what is differentiated within be multiplied by a factor on the way.

    A factor that is a power of two changes no figure but those that would be too small, or too
    large, for the type they are computed in.

    Args:
        scale: the factor, a `float32` scalar, or `None` for none.
    """
    token = _scale.set(scale)
    try:
        yield
    finally:
        _scale.reset(token)


def are_scaled() -> bool:
    """Returns whether a factor is in force."""
    return _scale.get() is not None


def scaled(values: Any) -> Any:
    """Returns tensors times the factor that is in force."""
    scale = _scale.get()
    if scale is None:
        return values
    return tf.nest.map_structure(lambda v: v * tf.cast(scale, v.dtype), values)


def unscaled(values: Any) -> Any:
    """Returns tensors divided by the factor that is in force."""
    scale = _scale.get()
    if scale is None:
        return values
    return tf.nest.map_structure(lambda v: v / tf.cast(scale, v.dtype), values)


def wide_enough(loss: tf.Tensor) -> tf.Tensor:
    """Returns a loss in a type that holds it times the factor that is in force."""
    return tf.cast(loss, tf.float32) if are_scaled() else loss
