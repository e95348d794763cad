"""The tables of `docs/compatibility.md`, written from runs of all that they say."""

import datetime
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import pytest
import tensorflow as tf
from conformance.derivative_rows import derivative_tables, entries
from conformance.exceptions import LIMITS, limit_of
from conformance.loss_table import with_losses
from conformance.matrix import COLUMNS, LAYER, LEARNER, cells

WRITTEN = re.compile(
    r"Written on \d+ \w+ \d{4} with TensorFlow [\d.]+, Keras [\d.]+ and Python [\d.]+ by"
)
Names = tuple[str, ...]


class Section(NamedTuple):
    """A part of the document that is written here, between two headings; the rest is by hand.

    Attributes:
        recorded: the property under which a test says what it has checked.
        begin: the heading above.
        end: the heading below.
        tests: what is run to write it.
        names: what there is to be checked.
        tables: what is written.
    """

    recorded: str
    begin: str
    end: str
    tests: str
    names: Callable[[], set[Names]]
    tables: Callable[[], str]


def rewritten(text: str, written: str, section: Section) -> str:
    """The document with new tables in one section.

    Args:
        text: the document as it is.
        written: when and with which versions its tests were run.
        section: the section.
    """
    begin, end = section.begin, section.end
    assert begin in text and end in text, f"{begin!r} and {end!r} enclose the tables"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    command = f'python -m pytest {section.tests} -m "" --compatibility docs/compatibility.md'
    return f"{head}{begin}\n{written}\n\n    {command}\n\n{section.tables()}\n{end}{tail}"


def written_now() -> str:
    """When, and with which versions, the tests are run."""
    day = datetime.date.today()
    return (
        f"Written on {day.day} {day:%B %Y} with TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__} and Python {platform.python_version()} by"
    )


def _matrix_tables() -> str:
    return "\n".join(_table(kind) for kind in (LAYER, LEARNER)) + f"\n{_notes()}"


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


_DERIVATIVES = "## Second derivatives of Keras' layers\n"
MATRIX = Section(
    "cell",
    "## The matrix\n",
    _DERIVATIVES,
    "tests/conformance",
    lambda: {(cell.row, cell.column) for cell in cells()},
    _matrix_tables,
)
DERIVATIVES = Section(
    "derivative",
    _DERIVATIVES,
    "## Versions tried\n",
    "tests/conformance/test_second_derivatives.py",
    lambda: {(entry.kind, entry.name, entry.setting) for entry in entries()},
    derivative_tables,
)
SECTIONS = (MATRIX, DERIVATIVES)


class Recorder:
    """Writes, at the end of a run, each section of which all was run and as it should be.

    A section of which nothing was run stays as it is.

    Args:
        path: the document.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: dict[str, set[Names]] = {section.recorded: set() for section in SECTIONS}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            found: list[Any] = report.user_properties
            for name, value in found:
                if name in self.seen:
                    self.seen[name].add(tuple(value))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        run = [section for section in SECTIONS if self.seen[section.recorded]]
        if not run:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print(f"\n{self.path} is not written: nothing that it says was run.")
        for section in run:
            missing = section.names() - self.seen[section.recorded]
            if missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
                print(
                    f"\n{section.begin.strip()} of {self.path} is not written: {len(missing)} of "
                    "its tests failed or were not run."
                )
            else:
                text = rewritten(self.path.read_text(), written_now(), section)
                self.path.write_text(with_losses(text))
