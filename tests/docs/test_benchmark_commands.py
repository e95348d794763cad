"""Every benchmark that the documentation names exists, is listed and takes the options named."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import tyro
from docs.pages import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(page: Path) -> list[tuple[str, str]]:
    """Returns the benchmarks that a page names, with the options that stand in code beside them."""
    text = page.read_text()
    lines = text.splitlines()
    code = [line for line in lines if line.startswith("    python -m benchmarks")]
    prose = "\n".join(line for line in lines if not line.startswith("    "))
    code += re.findall(r"`([^`]*python -m benchmarks[^`]*)`", prose)
    joined = (" ".join(piece.partition(" #")[0].split()) for piece in code)
    found = (re.search(r"python -m benchmarks\.(\w+)(.*)", piece) for piece in joined)
    return [(match[1], match[2]) for match in found if match]


ALL = sorted({command for page in PAGES for command in commands(page)})
PROGRAMS = {
    path.stem for path in (ROOT / "benchmarks").glob("*.py") if "tyro.cli(" in path.read_text()
}


@pytest.mark.parametrize(("name", "options"), ALL)
def test_options_are_understood(name: str, options: str) -> None:
    assert name in PROGRAMS
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ImportError as error:
        pytest.skip(str(error))
    tyro.cli(module.Options, args=shlex.split(options))


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_help_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ImportError as error:
        pytest.skip(str(error))
    with pytest.raises(SystemExit) as end:
        tyro.cli(module.Options, args=["--help"])
    assert end.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_every_benchmark_is_listed() -> None:
    assert {name for name, _ in commands(ROOT / "docs" / "benchmarks.md")} == PROGRAMS
