"""The library's errors in the words of the command line."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .run_options import RunOptions, flag

# What the library's errors write arguments as: `ways`, `ways` (5), `resize=False`.
_ARGUMENT = re.compile(r"`(?P<name>[a-z_]\w*)(?:=(?P<given>[^`]+))?`(?: \((?P<shown>[^()]+)\))?")
# Or, at the beginning of a message, as a word alone: input_shape must be ...
_SUBJECT = re.compile(r"^(?P<name>[a-z_]\w*)(?= must )")
_FLAG = re.compile(r"(?<!\S)--[a-z]")


@contextlib.contextmanager
def naming_flags(
    options: RunOptions | Mapping[str, Any], subject: str | None = None, /, **names: str
) -> Iterator[None]:
    """Has errors name flags in place of the arguments that the flags were passed on as.

    Args:
        options: The configuration, or the values of a command's flags by field.
        subject: The field that an error is about where its message names no flag at all.
        **names: For arguments that are called otherwise than a field: the field, or words.
            All fields stand for themselves.

    Raises:
        Exception: As raised within; of a `ValueError`, `TypeError` or `OSError` with a text of its
            own, that text names flags.

    >>> with naming_flags({"ways": 50, "images": "cats"}, directory="images"):
    ...     raise ValueError("`directory`: 3 classes, fewer than `ways` (50); lower `ways`.")
    Traceback (most recent call last):
    ValueError: --images cats: 3 classes, fewer than --ways 50; lower --ways.
    """
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        # Errors of the operating system have a number first, those of codecs five parts.
        if len(error.args) == 1 and isinstance(error.args[0], str):
            values = options if isinstance(options, Mapping) else vars(options)
            text = _in_flags(error.args[0], values, names)
            if subject is not None and not _FLAG.search(text):
                text = f"{_with_value(subject, values[subject])}: {text}"
            error.args = (text,)
        raise


def names_flags(
    subject: str | None = None, /, **names: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator that applies `naming_flags` to functions of a configuration.

    Args:
        subject: As in `naming_flags`.
        **names: As in `naming_flags`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            given = (*args, *kwargs.values())
            options = next(value for value in given if isinstance(value, RunOptions))
            with naming_flags(options, subject, **names):
                return function(*args, **kwargs)

        return named

    return decorate


def _in_flags(text: str, values: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Returns a message with its arguments in the words of the command line."""

    def word(match: re.Match[str]) -> str:
        parts = match.groupdict()
        field = names.get(parts["name"], parts["name"])
        shown = parts.get("shown")
        behind = "" if shown is None else f" ({shown})"
        if field not in values:
            return field + behind if parts["name"] in names else match[0]
        if parts.get("given") is not None:
            return _with_value(field, parts["given"]) + behind
        if shown is not None and shown == str(values[field]):
            return _with_value(field, shown)
        # What a message begins with is what is wrong: its value is that of the user.
        first = match.start() == 0 and values[field] is not None
        return (_with_value(field, values[field]) if first else flag(field)) + behind

    return _ARGUMENT.sub(word, _SUBJECT.sub(word, text))


def _with_value(field: str, value: Any) -> str:
    """Returns a flag with its value, as it is typed; of a switch, and without a value, it alone.

    >>> _with_value("resize", False), _with_value("fractions", (1, 2, 1))
    ('--no-resize', '--fractions 1 2 1')
    """
    if str(value) in ("True", "False", "None"):
        return flag(f"no_{field}" if str(value) == "False" else field)
    if isinstance(value, tuple | list):
        value = " ".join(map(str, value))
    return f"{flag(field)} {value}"
