"""`docs/compatibility.md` is what the tests know."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from conformance.compatibility import (
    DERIVATIVES,
    MATRIX,
    SECTIONS,
    WRITTEN,
    Recorder,
    Section,
    rewritten,
)
from conformance.exceptions import LIMITS
from conformance.loss_table import BEGIN, with_losses
from conformance.matrix import cells

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"
OLD = (
    "mine\n## The matrix\nold\n## Second derivatives of Keras' layers\nold too\n"
    "## Versions tried\nmine\n"
)


@pytest.mark.parametrize("section", SECTIONS, ids=[s.recorded for s in SECTIONS])
def test_the_document_has_the_rows_columns_and_exceptions_of_the_tests(section: Section) -> None:
    text = DOCUMENT.read_text()
    written = WRITTEN.search(text.split(section.begin)[1])
    assert written
    assert text == rewritten(text, written.group(), section), (
        "write docs/compatibility.md anew, by the command that stands in this section"
    )


def test_the_matrix_has_a_mark_for_each_cell() -> None:
    text = DOCUMENT.read_text()
    excepted = sum(len(limit.rows) for limit in LIMITS)
    assert text.count("| yes") == len(cells()) - excepted
    assert text.count("| note") == excepted


def test_the_document_has_the_losses_and_metrics_of_the_tests() -> None:
    text = DOCUMENT.read_text()
    assert BEGIN in text and text == with_losses(text)


def run_of(path: Path, seen: dict[str, list]) -> SimpleNamespace:
    """The end of a run in which some tests passed."""
    recorder, session = Recorder(path), SimpleNamespace(exitstatus=0)
    for recorded, names in seen.items():
        for name in names:
            properties = [(recorded, list(name))]
            report = SimpleNamespace(when="call", passed=True, user_properties=properties)
            recorder.pytest_runtest_logreport(report)
    recorder.pytest_sessionfinish(session)
    return session


@pytest.mark.parametrize("section", SECTIONS, ids=[s.recorded for s in SECTIONS])
def test_a_section_is_written_after_a_whole_run_of_it_alone(
    section: Section, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, names = tmp_path / "compatibility.md", sorted(section.names())
    path.write_text(OLD)
    assert run_of(path, {section.recorded: names[1:]}).exitstatus == 1
    assert path.read_text() == OLD
    assert "1 of its tests failed or were not run" in capsys.readouterr().out
    assert run_of(path, {section.recorded: names}).exitstatus == 0
    text = path.read_text()
    assert text.startswith("mine\n## The matrix\n") and text.endswith("## Versions tried\nmine\n")
    kept, gone = ("old too\n", "old\n") if section is MATRIX else ("old\n", "old too\n")
    assert WRITTEN.search(text) and f"\n{kept}" in text and f"\n{gone}" not in text


def test_a_run_of_neither_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "compatibility.md"
    path.write_text(OLD)
    assert run_of(path, {}).exitstatus == 1 and path.read_text() == OLD
    assert DERIVATIVES.names() and MATRIX.names()
