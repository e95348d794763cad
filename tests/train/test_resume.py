"""A run that is killed and resumed gives the figures of one that was not."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warptf.train.command.cli import main

SMALL = ["--preset", "smoke", "--filters", "4", "--inner-steps", "3", "--evaluation-steps", "3"]
SMALL += ["--meta-steps", "6", "--epoch-steps", "1", "--evaluate-every", "2"]
MULTI_SHOT = ["train", "multi-shot", *SMALL, "--batch-size", "4"]
# MT-Net draws masks, Adam and momentum keep a state, and the best learner is kept beside the last.
FEW_SHOT = ["train", "few-shot", *SMALL, "--meta-learner", "mt-net", "--patience", "4"]
# The process of the tests has started TensorFlow with threads of its own.
FEW_SHOT += ["--threads-per-operation", "0"]
# What is gathered for the warp parameters must be kept: they move at every second update.
MAZE = ["train", "maze", "--preset", "smoke", "--meta-steps", "6", "--epoch-steps", "1"]
MAZE += ["--evaluate-every", "2"]


def rows_without_seconds(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def result_without_seconds(path: Path) -> dict:
    result = json.loads((path / "result.json").read_text())
    assert result.pop("seconds") > 0
    return result


def kill_after(flags: list[str], lines: int, delay: float, run_dir: Path) -> None:
    """Starts or continues the run in a process of its own and kills it after some lines."""
    begun = ["--resume"] if (run_dir / "config.json").exists() else []
    process = subprocess.Popen(
        [sys.executable, "-m", "warptf.train", *flags, "--run-dir", str(run_dir), *begun],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    metrics = run_dir / "metrics.jsonl"
    while process.poll() is None:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= lines:
            time.sleep(delay)
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert process.returncode == -9, "the run ended before it was killed"


@pytest.mark.few("multi-shot", "maze")
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(MULTI_SHOT, id="multi-shot"),
        pytest.param(FEW_SHOT, id="few-shot"),
        pytest.param(MAZE, id="maze"),
    ],
)
def test_killed_and_resumed_run_equals_an_uninterrupted_one(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*flags, "--run-dir", str(whole)]) == 0
    moment = random.Random(time.time_ns())
    # Before the first line, early and late.
    for lines in (0, moment.randint(1, 3), moment.randint(4, 6)):
        kill_after(flags, lines, moment.uniform(0.0, 0.1), killed)
        assert not (killed / "result.json").exists()
    assert main([*flags, "--run-dir", str(killed), "--resume"]) == 0
    assert result_without_seconds(killed) == result_without_seconds(whole)
    assert rows_without_seconds(killed) == rows_without_seconds(whole)
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last_line) == json.loads((killed / "result.json").read_text())
