"""Checks of the arguments of meta-learners."""

import numbers
from typing import Any


def check_kind(name: str, value: Any, kinds: Any) -> None:
    """Checks that an argument is of one of some classes.

    Args:
        name: the argument.
        value: the value received.
        kinds: a class or a tuple of classes.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kinds):
        names = " or ".join(k.__name__ for k in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise TypeError(f"{name} must be a {names}, got {value!r} of type {type(value).__name__}.")


def positive_integer(name: str, value: Any) -> int:
    """Returns an argument that must be a whole number of at least 1.

    Args:
        name: the argument.
        value: the value received.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)
