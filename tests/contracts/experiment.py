"""What the run of every experiment must show."""

import json
from pathlib import Path

import pytest

from warptf.train.command.cli import main

FILES = {
    "config.json",
    "split.json",
    "metrics.jsonl",
    "result.json",
    "scores.json",
    "model.keras",
    "checkpoints/latest.keras",
    "checkpoints/previous.keras",
    "plots/drawn.json",
    "plots/meta_training.png",
}


def check_files(run: Path, *more: str) -> None:
    """Check that a finished run holds what every run does, what it promises, and nothing else."""
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert files == {*FILES, *more}


def check_evaluation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that the command `evaluate` repeats the figures of a finished run."""
    assert main(["evaluate", str(run)]) == 0
    repeated = json.loads(capsys.readouterr().out.splitlines()[-1])
    written = json.loads((run / "result.json").read_text())
    assert {**repeated, "seconds": 0} == {**written, "seconds": 0}
