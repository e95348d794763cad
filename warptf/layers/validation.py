"""Checks of constructor arguments and input shapes that the layers share."""

from collections.abc import Sequence
from typing import Any


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` if it is a positive integer.

    Args:
        name: the argument's name, for the message.
        value: the value received.

    Raises:
        ValueError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}: pass 1 or more.")
    return value


def optional_positive_integer(name: str, value: Any) -> int | None:
    """Returns `value` if it is a positive integer or `None`.

    Args:
        name: the argument's name, for the message.
        value: the value received.

    Raises:
        ValueError: it is neither.
    """
    return None if value is None else positive_integer(name, value)


def channel_count(layer_name: str, input_shape: Sequence[int | None]) -> int:
    """Returns the size of the last axis of a layer's input.

    Args:
        layer_name: the layer's name, for the message.
        input_shape: the shape received, `[B, ..., channels]`.

    Raises:
        ValueError: the axis has no fixed size.
    """
    if len(input_shape) < 2 or input_shape[-1] is None:
        raise ValueError(
            f"layer {layer_name!r} needs inputs [B, ..., channels] whose last axis has a known "
            f"size, got input_shape={tuple(input_shape)}: give the model an Input with that axis "
            "set."
        )
    return int(input_shape[-1])
