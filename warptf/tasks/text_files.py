"""Lists in text files, as editors and spreadsheets save them."""

import codecs
import csv
import io
import json
import re
from typing import Any

# Longer marks first, for the shorter one of UTF-16 begins that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = (",", "\t", ";")
_REMEDY = (
    "save it as UTF-8 (a text in Windows' Western encoding becomes that by "
    "`iconv -f CP1252 -t UTF-8`)"
)


def read_text(path: str) -> str:
    """Read a text in UTF-8, or in UTF-16 or UTF-32 with a byte-order mark.

    Args:
        path: The file.

    Raises:
        ValueError: If it is in another encoding, which nothing in a file tells for certain.
    """
    with open(path, "rb") as file:
        data = file.read()
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"byte 0x{data[error.start]:02x} in line {line} is no {error.encoding}; {_REMEDY}"
        ) from error
    if "\0" in text:
        raise ValueError(f"it holds NUL characters, as UTF-16 without its mark does; {_REMEDY}")
    return text


def read_rows(path: str) -> list[list[str]]:
    """Read rows of columns that commas separate, or tabs or semicolons where there are no commas.

    Args:
        path: The file.

    Returns:
        The rows without empty ones, without empty columns at their ends.

    Raises:
        ValueError: If it is no such text.
    """
    text = re.sub(r"\Asep=.\r?\n", "", read_text(path))  # Spreadsheets know this first line.
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((mark for mark in _SEPARATORS if mark in first), ",")
    lines = io.StringIO(text, newline="")
    try:
        # Strict: a quote without its counterpart would swallow all that follows.
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return [row for row in map(_without_empty_end, rows) if row]


def read_json(path: str) -> Any:
    """Read JSON in which no object has a key twice.

    Args:
        path: The file.

    Raises:
        ValueError: If it is none.
    """
    return json.loads(read_text(path), object_pairs_hook=_once)


def _without_empty_end(row: list[str]) -> list[str]:
    while row and not row[-1].strip():
        row = row[:-1]
    return row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {max(names, key=names.count)!r} occurs twice")
    return found
