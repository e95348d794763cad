"""What does not hold, and why."""

from typing import NamedTuple


class Limit(NamedTuple):
    """Cells that fail, or are refused, for one reason.

    Attributes:
        rows: names of their rows.
        column: name of their column.
        error: what checking them raises.
        match: what the message of it says, as a regular expression.
        reason: why, for the reader of `docs/compatibility.md`.
    """

    rows: tuple[str, ...]
    column: str
    error: type[BaseException]
    match: str
    reason: str


LIMITS: tuple[Limit, ...] = ()


def limit_of(row: str, column: str) -> Limit | None:
    """The reason for which a cell does not hold, or `None` if it does."""
    for limit in LIMITS:
        if row in limit.rows and column == limit.column:
            return limit
    return None
