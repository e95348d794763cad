"""Checks of the options that an environment is reset with."""

from typing import Any


def goal_of(options: dict[str, Any] | None) -> Any:
    """Returns the goal that the options of `reset` name, or `None`.

    Args:
        options: The value received.

    Raises:
        ValueError: They hold something else.
    """
    unknown = set(options or {}) - {"goal"}
    if unknown:
        raise ValueError(
            f"options may hold 'goal' only, got {', '.join(map(repr, sorted(unknown, key=str)))}: "
            "leave it out."
        )
    return (options or {}).get("goal")
