"""The fields of an experiment that a search varies, and between what."""

import dataclasses
import math
import types
import typing
from collections.abc import Collection
from typing import Any

from warptf.tuning import Choices, Range, SearchSpace

from ..engine.run_options import RunOptions, flag

Dimension = Range | Choices

_RATES = ("inner_rate", "meta_rate", "initialization_rate", "task_rate")
_COUNTS = ("inner_steps", "filters", "units", "warp_units", "lstm_units", "tasks", "episodes")
_META_TRAINED_ONLY = {"meta_rate", "initialization_rate", "inner_steps", "tasks"}


def read_space(
    texts: Collection[str],
    config: RunOptions,
    fixed: Collection[str],
) -> SearchSpace:
    """Returns what `--space` asks for, or the default.

    Args:
        texts: The words of `--space`.
        config: The configuration that trials depart from, itself valid.
        fixed: Fields with a flag of their own.

    Raises:
        ValueError: If a word cannot be read, or a value is not permitted.
    """
    if not texts:
        return _default_space(config, fixed)
    dimensions: dict[str, Dimension] = {}
    for text in texts:
        name, _, values = text.partition("=")
        name = name.replace("-", "_")
        _check_field(text, name, config, {*fixed, *dimensions})
        dimensions[name] = _dimension(text, typing.get_type_hints(type(config))[name], values)
        for value in dimensions[name].examples:
            problem = _problem(config, name, value)
            if problem:
                raise ValueError(f"--space {text}: {problem}")
    return SearchSpace(dimensions)


def _check_field(text: str, name: str, config: RunOptions, taken: set[str]) -> None:
    known = {field.name for field in dataclasses.fields(config)}
    refused = {*config.PRESET_FIELDS, *type(config).NOT_COMPARED, "seed", "threads_per_operation"}
    if name not in known - refused:
        names = ", ".join(sorted(known - refused))
        raise ValueError(f"--space {text}: {name!r} cannot be searched; choose among {names}")
    if name in taken:
        raise ValueError(f"--space {text}: {flag(name)} is given already; leave one of the two out")


def _dimension(text: str, annotation: Any, values: str) -> Dimension:
    try:
        if ":" not in values:
            return Choices(tuple(_value(annotation, word) for word in values.split(",")))
        low, high, *kind = values.split(":")
        if kind not in ([], ["log"]):
            raise ValueError(f"{':'.join(kind)} is no kind of range")
        bounds = _value(annotation, low), _value(annotation, high)
        if not all(isinstance(bound, int | float) for bound in bounds):
            raise ValueError(f"{low} and {high} are not numbers")
        return Range(*bounds, log=kind == ["log"])
    except ValueError as error:
        usage = "give NAME=A,B,C or NAME=LOW:HIGH or NAME=LOW:HIGH:log"
        raise ValueError(f"--space {text}: {error}; {usage}") from error


def _value(annotation: Any, word: str) -> Any:
    """Returns the value of a field that a word stands for."""
    union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    members = typing.get_args(annotation) if union else ()
    for kind in members or (annotation,):
        if kind is type(None) and word == "None":
            return None
        if kind is bool and word in ("True", "False"):
            return word == "True"
        if typing.get_origin(kind) is typing.Literal and word in typing.get_args(kind):
            return word
        if kind in (int, float):
            try:
                return kind(word)
            except ValueError:
                continue
    raise ValueError(f"{word!r} is not a value of this field")


def _problem(config: RunOptions, name: str, value: Any) -> str:
    """Returns why a configuration does not permit a value, or nothing."""
    try:
        dataclasses.replace(config, **{name: value}).validate()
    except ValueError as error:
        return str(error)
    return ""


def _default_space(config: RunOptions, fixed: Collection[str]) -> SearchSpace:
    """Returns ranges around the values of a configuration: they suit its preset and its method."""
    dimensions: dict[str, Dimension] = {}
    known = {field.name for field in dataclasses.fields(config)}
    for name in (*_RATES, *_COUNTS, "warp"):
        value = getattr(config, name) if name in known - set(fixed) else None
        if value is None or not _is_used(config, name):
            continue
        if name in _RATES:
            dimensions[name] = Range(_rounded(value / 10), _rounded(value * 10), log=True)
            continue
        wanted = type(config).choices().get(name) or sorted({max(1, value // 2), value, 2 * value})
        dimensions[name] = Choices(tuple(v for v in wanted if not _problem(config, name, v)))
    if not dimensions:
        raise ValueError("--space: every field of the default has a flag of its own; name others")
    return SearchSpace(dimensions)


def _is_used(config: Any, name: str) -> bool:
    if config.meta_steps == 0 and name in _META_TRAINED_ONLY:
        return False
    if not hasattr(config, "initialization_rate"):
        return True
    if name == "initialization_rate":
        return config.method.initialization != "Fixed"
    return name != "meta_rate" or config.method.objective is not None


def _rounded(value: float) -> float:
    """Returns a number without the last digits, which dividing by ten leaves behind."""
    return float(f"{value:.6g}") if math.isfinite(value) else value
