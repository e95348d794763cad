"""Names of classes, written in one way wherever they come from."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from warptf.tasks.wording import some_of

_INVISIBLE = dict.fromkeys([0xFEFF, 0x200B, 0x2060])  # Byte-order mark, zero-width space, joiner.


def normal_name(name: str) -> str:
    r"""Write a name as all are written: what looks the same is the same.

    In Unicode's composed form (NFC), without invisible marks, without blanks at its ends or around
    `/`, runs of blanks within as one space. Upper and lower case remain two names.

    Args:
        name: A name as it stands in a list or on a disk.

    >>> normal_name("\ufeff cafe\u0301 \u00a0noir ") == "caf\u00e9 noir"
    True
    """
    words = unicodedata.normalize("NFC", name.translate(_INVISIBLE)).split("/")
    return "/".join(" ".join(word.split()) for word in words)


def one_of_each(names: Iterable[str]) -> list[str]:
    """Returns the first spelling of each name, in their order."""
    spellings: dict[str, str] = {}
    for name in names:
        spellings.setdefault(normal_name(name), name)
    return list(spellings.values())


def normal_names(argument: str, names: Any) -> tuple[str, ...]:
    """Check names, and write them as all are written.

    Args:
        argument: What messages call them.
        names: A sequence of strings.

    Returns:
        The names as `normal_name` writes them, in their order.

    Raises:
        TypeError: If they are no sequence of strings.
        ValueError: If one is empty, no text, or there twice, maybe in two spellings.

    >>> normal_names("names", ["cat", "dog ", "cat "])
    Traceback (most recent call last):
    ValueError: `names` must hold a name once, received 'cat' again, written 'cat' and 'cat '.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"`{argument}` must be a sequence of names, received {names!r}.")
    given = tuple(names)
    if not all(isinstance(name, str) for name in given):
        raise TypeError(f"`{argument}` must hold strings only, received {some_of(given)}.")
    undecoded = [name for name in given if not _is_text(name)]
    if undecoded:
        raise ValueError(
            f"`{argument}`: {some_of(undecoded)} not in UTF-8; rename the folder or file."
        )
    normal = tuple(normal_name(name) for name in given)
    if "" in normal:
        raise ValueError(f"`{argument}` must not hold an empty name; leave it out.")
    repeated = sorted(name for name, count in Counter(normal).items() if count > 1)
    if repeated:
        raise ValueError(
            f"`{argument}` must hold a name once, received {some_of(repeated)} again"
            f"{spelled(repeated, given)}."
        )
    return normal


def spelled(normal: Sequence[str], *given: Iterable[str]) -> str:
    """Say how names were written, where they were written in several ways.

    Args:
        normal: The names as all are written.
        *given: The names as they were written.

    Returns:
        Words to go on with, or nothing where there was one way only.
    """
    written: dict[str, None] = {}
    for name in (name for names in given for name in names):
        if normal_name(name) in normal:
            written.setdefault(name)
    if len(written) <= len(normal):
        return ""
    return f", written {' and '.join(map(ascii_where_alike, written))}"


def ascii_where_alike(name: str) -> str:
    """Returns a name in quotes, with the codes of characters that could be taken for others."""
    alike = any(ord(mark) > 127 for mark in name)
    return ascii(name) if alike else repr(name)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # The operating system gave bytes that are no UTF-8.
        return False
    return True
