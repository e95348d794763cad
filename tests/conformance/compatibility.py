"""The tables of `docs/compatibility.md`, written from a run of the whole matrix."""

import datetime
import platform
import re
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from conformance.exceptions import LIMITS, limit_of
from conformance.matrix import COLUMNS, LAYER, LEARNER, cells

# What is between these headings is written here, the rest of the document by hand.
BEGIN, END = "## The matrix\n", "## Versions tried\n"
COMMAND = 'python -m pytest tests/conformance -m "" --compatibility docs/compatibility.md'
WRITTEN = re.compile(
    r"Written on \d+ \w+ \d{4} with TensorFlow [\d.]+, Keras [\d.]+ and Python [\d.]+ by"
)


def rewritten(text: str, written: str) -> str:
    """The document with new tables.

    Args:
        text: the document as it is.
        written: when and with which versions the matrix was run.
    """
    assert BEGIN in text and END in text, f"{BEGIN!r} and {END!r} enclose the tables"
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    tables = "\n".join(_table(kind) for kind in (LAYER, LEARNER))
    return f"{head}{BEGIN}\n{written}\n\n    {COMMAND}\n\n{tables}\n{_notes()}\n{END}{tail}"


def written_now() -> str:
    """When, and with which versions, the matrix is run."""
    day = datetime.date.today()
    return (
        f"Written on {day.day} {day:%B %Y} with TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__} and Python {platform.python_version()} by"
    )


def _table(kind: str) -> str:
    marks: dict[str, list[str]] = {}
    for cell in cells():
        if cell.kind == kind:
            limit = limit_of(cell.row, cell.column)
            mark = f"note {LIMITS.index(limit) + 1}" if limit else "yes"
            marks.setdefault(cell.row, []).append(mark)
    lines = [f"| {kind} | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    lines += [f"| {row} | {' | '.join(found)} |" for row, found in marks.items()]
    return "".join(f"{line}\n" for line in lines)


def _notes() -> str:
    return "".join(f"{number}. {limit.reason}\n" for number, limit in enumerate(LIMITS, 1))


class Recorder:
    """Writes the tables at the end of a run in which every cell was as it should be.

    Args:
        path: the document.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.seen = path, set[tuple[str, str]]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            found: list[Any] = [v for name, v in report.user_properties if name == "cell"]
            self.seen |= {(row, column) for row, column in found}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        missing = {(cell.row, cell.column) for cell in cells()} - self.seen
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print(f"\n{self.path} is not written: {len(missing)} cells failed or were not run.")
        else:
            self.path.write_text(rewritten(self.path.read_text(), written_now()))
