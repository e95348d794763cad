"""Checks of arguments that the maze and its environments share."""

import math
import numbers
import operator
from typing import Any

import numpy as np


def whole_number(name: str, value: Any, least: int) -> int:
    """Returns an argument that must be a whole number of at least `least`.

    Args:
        name: The argument.
        value: The value received.
        least: The smallest value allowed.

    Raises:
        TypeError: It is no integer.
        ValueError: It is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}: pass {least} or more.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}: pass {least} or more.")
    return int(value)


def finite_number(name: str, value: Any) -> float:
    """Returns an argument that must be a finite number.

    Args:
        name: The argument.
        value: The value received.

    Raises:
        TypeError: It is no number.
        ValueError: It is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}: pass a float.")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}: pass an ordinary float.")
    return float(value)


def checked_action(action: Any, count: int) -> int:
    """Returns an action of one agent.

    Args:
        action: The value received.
        count: The number of actions.

    Raises:
        TypeError: It is no integer.
        ValueError: It is no action.
    """
    try:
        if isinstance(action, bool | np.bool_):
            raise TypeError
        number = operator.index(action)
    except TypeError:
        raise TypeError(
            f"action must be an integer, got {action!r} of type {type(action).__name__}: pass one "
            f"of 0 to {count - 1}."
        ) from None
    if not 0 <= number < count:
        raise ValueError(f"action must be one of 0 to {count - 1}, got {number}: pass one of them.")
    return number


def checked_actions(actions: Any, batch_size: int, count: int) -> np.ndarray:
    """Returns the actions `[B]` of a batch of agents.

    Args:
        actions: The value received.
        batch_size: `B`.
        count: The number of actions.

    Raises:
        TypeError: They are no integers.
        ValueError: They have another shape, or one of them is no action.
    """
    array = np.asarray(actions)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"actions must be integers, got {actions!r} of dtype {array.dtype}: pass 0 to "
            f"{count - 1}."
        )
    if array.shape != (batch_size,):
        raise ValueError(
            f"actions must have shape ({batch_size},), got {array.shape}: pass one action for each "
            "environment."
        )
    if ((array < 0) | (array >= count)).any():
        raise ValueError(
            f"actions must be within 0 to {count - 1}, got {array.tolist()}: pass 0 to {count - 1}."
        )
    return array.astype(np.int32)
