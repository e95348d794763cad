"""Runs that lost a file, or hold a damaged one, are continued to the same figures."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from warptf.train.command.cli import main
from warptf.train.engine.run_directory import RunDirectory
from warptf.train.engine.run_lock import RunLock
from warptf.train.experiments.sine.experiment import SineExperiment

# A learner that is traced in no time.
SINE = ["train", "sine", "--preset", "smoke", "--meta-learner", "reptile", "--units", "4"]
SINE += ["--layers", "1", "--tasks", "2", "--test-tasks", "4", "--inner-steps", "1"]
SINE += ["--evaluation-steps", "1", "--meta-steps", "4", "--epoch-steps", "1"]
SINE += ["--evaluate-every", "1", "--threads-per-operation", "0"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, not to be changed."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    assert main([*SINE, "--run-dir", str(run_dir)]) == 0
    return run_dir


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def resume(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> str:
    """Resumes a run, which must succeed, and returns what it says on standard error."""
    capsys.readouterr()
    assert main([*SINE, "--run-dir", str(run.path), "--resume"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == json.loads(run.result.read_text())
    return captured.err


def fails(run: RunDirectory, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Returns the one line of a command that must fail."""
    capsys.readouterr()
    assert main([*words, str(run.path)] if words else _resuming(run)) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warptf:")]
    assert len(lines) == 1
    return lines[0]


def _resuming(run: RunDirectory) -> list[str]:
    return [*SINE, "--run-dir", str(run.path), "--resume"]


def unfinish(run: RunDirectory) -> None:
    for path in (run.result, run.scores, run.model):
        path.unlink()
    shutil.rmtree(run.plots)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def content(path: Path) -> dict:
    """All that a run measured, without the seconds that it took."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    kept = [{name: row[name] for name in row if name != "seconds"} for row in rows]
    result = json.loads((path / "result.json").read_text())
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    scores = json.loads((path / "scores.json").read_text())
    weights = [v.numpy() for v in keras.models.load_model(path / "model.keras").variables]
    return dict(
        metrics=kept, result={**result, "seconds": 0}, files=files, scores=scores, weights=weights
    )


def check_equal(run: Path, whole: Path) -> None:
    found, expected = content(run), content(whole)
    for a, b in zip(found.pop("weights"), expected.pop("weights"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found == expected


def test_a_finished_run_prints_its_result_and_touches_nothing(
    run: RunDirectory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    # Nor does it need to write, as in a folder that is read-only.
    monkeypatch.setattr("warptf.train.engine.run_lock.os.open", lambda *arguments: 1 / 0)
    assert "restoring" not in resume(run, capsys)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


@pytest.mark.parametrize("kept", ["best.keras", "model.keras"])
def test_what_is_missing_of_a_finished_run_is_restored(
    kept: str, run: RunDirectory, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (run.split, run.scores):
        path.unlink()
    if kept == "best.keras":
        truncate(run.model)
        (run.plots / "adaptation.png").unlink()
    else:
        run.scores.write_text("")
        shutil.rmtree(run.plots)
    said = resume(run, capsys)
    assert "restoring split.json, scores.json" in said and "plots" in said
    assert ("model.keras" in said) == (kept == "best.keras")
    check_equal(run.path, whole)


@pytest.mark.parametrize("damage", [lambda path: path.write_text(""), Path.unlink])
def test_a_result_that_is_lost_is_written_again(
    damage, run: RunDirectory, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run.result)
    resume(run, capsys)
    check_equal(run.path, whole)


@pytest.mark.parametrize("damaged", [["latest"], ["latest", "previous"]], ids=str)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    damaged: list[str], run: RunDirectory, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinish(run)
    for name in damaged:
        path = run.checkpoints.folder / f"{name}.keras"
        truncate(path) if name == "latest" else path.write_bytes(b"garbage")
    lines = [line for line in resume(run, capsys).splitlines() if " damaged, " in line]
    assert len(lines) == 1 and "latest.keras" in lines[0]
    instead = "from previous.keras, the one before" if len(damaged) == 1 else "from the beginning"
    assert lines[0].endswith(f"going on {instead}")
    check_equal(run.path, whole)


def test_a_bit_that_flipped_is_noticed(run: RunDirectory) -> None:
    content = bytearray(run.checkpoints.latest.read_bytes())
    content[len(content) // 2] ^= 1
    run.checkpoints.latest.write_bytes(content)
    step = run.checkpoints.load().meta_step.value.numpy()
    assert step == 3


def test_a_kill_between_two_checkpoints(
    run: RunDirectory, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinish(run)
    run.checkpoints.latest.rename(run.checkpoints.folder / "writing-latest.keras")
    assert "damaged" not in resume(run, capsys)
    check_equal(run.path, whole)


def test_a_best_learner_that_is_lost_is_named(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinish(run)
    truncate(run.checkpoints.best)
    line = fails(run, capsys)
    assert "best.keras: is missing or damaged" in line and "remove the folder" in line


def test_metrics_that_are_damaged_are_named(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinish(run)
    rows = run.metrics.read_text().splitlines()
    run.metrics.write_text("\n".join([rows[0], "garbage", *rows[2:]]) + "\n")
    assert "metrics.jsonl: line 2 is damaged; remove it and" in fails(run, capsys)
    run.metrics.unlink()
    assert "metrics.jsonl: ends before the checkpoint of meta-step 4" in fails(run, capsys)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("result.json", b"", "is not JSON (it is empty); --resume writes it again"),
        ("result.json", b"[]", "holds no JSON object"),
        ("result.json", b"\xff\xfe", "is not text"),
        ("result.json", b"{}", "its experiment is None"),
        ("config.json", b"{", "is not JSON"),
        ("config.json", b'{"search": {}}', "holds a search, not a run"),
        ("config.json", b"{}", "has other fields"),
        ("model.keras", b"PK garbage", "is damaged, truncated perhaps; warptf train --resume"),
        ("model.keras", None, "is not there; warptf train --resume writes it again"),
        ("result.json", None, "is not a finished run"),
        ("config.json", None, "is not a finished run"),
    ],
)
def test_commands_that_read_a_run_name_the_file(
    name: str,
    damage: bytes | None,
    message: str,
    run: RunDirectory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (run.path / name).unlink()
    if damage is not None:
        (run.path / name).write_bytes(damage)
    out = tmp_path / "out"
    commands = [["evaluate"], ["export"], ["compare"]]
    if message == "has other fields":
        # The others have no need of the fields.
        commands = commands[:1]
    elif name == "model.keras":
        commands = commands[:2]
    for command in commands:
        words = [*command, str(run.path), *([str(out)] if command == ["export"] else [])]
        capsys.readouterr()
        assert main(words) == 1
        (line,) = [each for each in capsys.readouterr().err.splitlines() if "warptf:" in each]
        assert str(run.path) in line and message in line, command
    assert not out.exists()


def test_two_that_continue_a_run(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    unfinish(run)
    before = run.metrics.read_bytes()
    with RunLock(run.path) as lock:
        lock.acquire()
        line = fails(run, capsys)
    assert f"process {os.getpid()} on " in line and "is writing it; wait for it" in line
    assert run.metrics.read_bytes() == before


def test_a_mistyped_run_directory(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = RunDirectory(tmp_path / "rum")
    assert "rum: is not there, so there is no run to continue" in fails(other, capsys)
    assert not other.path.exists()
    for command in ("evaluate", "compare"):
        assert "rum: is not there; give the directory of a run" in fails(other, capsys, command)


def test_an_untrained_learner_is_not_reported_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def worse(self: SineExperiment, learner: Any, tasks: Any) -> dict[str, Any]:
        loss = 1.0 + 0.1 * float(learner.meta_step.value.numpy())
        return {"loss": loss, "by_task": {"loss": [loss - 0.5, loss + 0.5, loss]}}

    monkeypatch.setattr(SineExperiment, "score_validation", worse)
    run = RunDirectory(tmp_path / "run")
    assert main([*SINE, "--run-dir", str(run.path)]) == 0
    assert "warptf: the untrained learner was best on validation" in capsys.readouterr().err
    result = run.read_result()
    assert result["reported_model"] == "untrained, best on validation"
    assert result["reported_meta_step"] == 0
    assert result["loss"] == pytest.approx(result["loss_untrained"])
    assert result["validation_loss"] == result["validation_loss_untrained"] == 1.0
    assert main(["compare", str(run.path)]) == 0
    printed = capsys.readouterr()
    assert "| reptile, untrained | 1 |" in printed.out
    assert "reptile: the untrained learner was best on validation in 1 of 1 runs" in printed.err
    assert main(["export", str(run.path), str(tmp_path / "out")]) == 0
    assert "the untrained learner was best on validation" in capsys.readouterr().err
