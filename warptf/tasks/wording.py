"""Wording that error messages share."""

from collections.abc import Iterable

MOST = 5


def some_of(items: Iterable[object], most: int = MOST) -> str:
    """Name the first of some items and count the others.

    Args:
        items: Items to name.
        most: How many to name. Defaults to 5.

    Returns:
        Text for an error message.

    >>> some_of(["a", "b"]), some_of(range(9), most=2)
    ("'a', 'b'", '0, 1 and 7 more')
    """
    items = list(items)
    named = ", ".join(repr(item) for item in items[:most])
    return named if len(items) <= most else f"{named} and {len(items) - most} more"
