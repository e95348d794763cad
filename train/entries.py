"""Entries of the registries: how one is found, chosen for an experiment and loaded."""

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

Entry = TypeVar("Entry")


def find(flag: str, entries: Mapping[str, Entry], name: str) -> Entry:
    """Returns an entry.

    Args:
        flag: What names it on the command line.
        entries: Those of the registry.
        name: Its name.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in entries:
        raise ValueError(f"{flag} {name}: choose one of {', '.join(entries)}")
    return entries[name]


def offered(entries: Mapping[str, Any], experiment: str) -> tuple[str, ...]:
    """Returns the names of the entries that an experiment offers.

    Args:
        entries: Those of the registry, each with `experiments`.
        experiment: Its name.
    """
    return tuple(name for name, entry in entries.items() if experiment in entry.experiments)


def load(reference: str) -> Any:
    """Returns what a module holds, imported when it is asked for: many import TensorFlow.

    Args:
        reference: The module, below `warptf.train`, and the name there: `"module:name"`.
    """
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)
