"""`docs/compatibility.md` is what the tests know."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from conformance.compatibility import WRITTEN, Recorder, rewritten
from conformance.exceptions import LIMITS
from conformance.matrix import cells

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"


def test_the_document_has_the_rows_columns_and_exceptions_of_the_tests() -> None:
    text = DOCUMENT.read_text()
    written = WRITTEN.search(text)
    assert written
    assert text == rewritten(text, written.group()), (
        "write docs/compatibility.md anew, by the command that stands in it"
    )
    excepted = sum(len(limit.rows) for limit in LIMITS)
    assert text.count("| yes") == len(cells()) - excepted
    assert text.count("| note") == excepted


def run_of(path: Path, seen: list) -> SimpleNamespace:
    """The end of a run in which some cells passed."""
    recorder, session = Recorder(path), SimpleNamespace(exitstatus=0)
    for cell in seen:
        properties = [("cell", [cell.row, cell.column])]
        report = SimpleNamespace(when="call", passed=True, user_properties=properties)
        recorder.pytest_runtest_logreport(report)
    recorder.pytest_sessionfinish(session)
    return session


def test_it_is_written_after_a_whole_run_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, old = tmp_path / "compatibility.md", "mine\n## The matrix\nold\n## Versions tried\nmine\n"
    path.write_text(old)
    assert run_of(path, cells()[1:]).exitstatus == 1
    assert path.read_text() == old
    assert "1 cells failed or were not run" in capsys.readouterr().out
    assert run_of(path, cells()).exitstatus == 0
    text = path.read_text()
    assert text.startswith("mine\n## The matrix\n") and text.endswith("## Versions tried\nmine\n")
    assert WRITTEN.search(text) and "old" not in text
