"""Ctrl-C and SIGTERM: one line, the exit code of the signal, a run that can be continued."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warptf.train.command.cli import main

COMMAND = str(Path(sys.executable).parent / "warptf")
SINE = ["train", "sine", "--preset", "smoke", "--meta-learner", "reptile", "--units", "4"]
SINE += ["--layers", "1", "--tasks", "2", "--test-tasks", "4", "--inner-steps", "1"]
SINE += ["--evaluation-steps", "1", "--meta-steps", "400", "--epoch-steps", "1"]
SINE += ["--evaluate-every", "0", "--checkpoint-every", "40", "--threads-per-operation", "0"]
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
BOTH = pytest.mark.parametrize("number", list(WORDS), ids=lambda number: number.name)


def start(words: list[str], **options: object) -> subprocess.Popen:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment, **options)


def said(process: subprocess.Popen, number: signal.Signals) -> str:
    """Returns the one line of a command that a signal must have ended."""
    output = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("warptf:")]
    assert line.startswith(f"warptf: {WORDS[number]}; ")
    return line


def wait_for_rows(run_dir: Path, process: subprocess.Popen, count: int) -> None:
    metrics = run_dir / "metrics.jsonl"
    while process.poll() is None:
        if metrics.exists() and metrics.read_text().count("\n") >= count:
            return
        time.sleep(0.02)


@BOTH
def test_in_the_first_seconds(number: signal.Signals, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    process = start([COMMAND, *SINE, "--run-dir", str(run_dir)])
    # TensorFlow is being imported.
    time.sleep(1.2)
    process.send_signal(number)
    assert said(process, number).endswith("nothing was begun that could be continued")
    assert not run_dir.exists()


def test_in_meta_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "run"
    process = start([COMMAND, *SINE, "--run-dir", str(run_dir)])
    wait_for_rows(run_dir, process, 45)
    process.send_signal(signal.SIGTERM)
    line = said(process, signal.SIGTERM)
    assert line.endswith(f"--run-dir {run_dir} --resume continues it")
    left = {path.name for path in run_dir.rglob("*")}
    assert "latest.keras" in left and not any(name.startswith(("writing", "run")) for name in left)
    assert main([*SINE, "--run-dir", str(run_dir), "--resume"]) == 0
    rows = [json.loads(row) for row in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 401))


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("delay", [0.5, 2.0, 3.5, 5.0, 7.0, 9.0, 11.0, 14.0, 18.0])
def test_at_any_moment(delay: float, number: signal.Signals, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    process = start([COMMAND, *SINE, "--meta-steps", "100000", "--run-dir", str(run_dir)])
    time.sleep(delay)
    process.send_signal(number)
    line = said(process, number)
    assert line.endswith("continues it") == run_dir.exists()


@pytest.mark.slow
def test_a_search_with_workers(tmp_path: Path) -> None:
    flags = ["--space", "inner_rate=0.001:0.1:log", "--max-trials", "50", "--workers", "2"]
    search = tmp_path / "search"
    words = [COMMAND, "tune", *SINE[1:], *flags, "--run-dir", str(search)]
    process = start(words, start_new_session=True)
    while process.poll() is None and not list(search.glob("trials/*.json")):
        time.sleep(0.1)
    # As a terminal does: all processes of the command.
    os.killpg(process.pid, signal.SIGINT)
    line = said(process, signal.SIGINT)
    assert line.endswith(f"--run-dir {search} --resume continues it")
    time.sleep(2.0)
    outcomes = set(search.glob("trials/*.json"))
    time.sleep(6.0)
    assert set(search.glob("trials/*.json")) == outcomes
    assert not (search / "run.lock").exists()


SCRIPT = """
import hashlib, os, signal, sys, threading, time
from warptf_launcher import interruption as module
interruption = module.interruption
module._COMMAND_SECONDS = 0.3
interruption.install()
assert "tensorflow" not in sys.modules

def main():
    with interruption.raising():
        print("ready", flush=True)
        BODY

try:
    main()
except KeyboardInterrupt:
    os._exit(interruption.report())
time.sleep(0.5)
print("done")
"""
SWALLOWED = """
        while True:
            try:
                time.sleep(9)
            except KeyboardInterrupt:
                pass
"""
BUSY = """
        # Gives other threads a chance, and the main one none to see a signal.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


@BOTH
@pytest.mark.parametrize("body", [SWALLOWED, BUSY], ids=["swallowed", "busy"])
def test_where_an_exception_does_not_come_through(body: str, number: signal.Signals) -> None:
    process = start([sys.executable, "-c", SCRIPT.replace("        BODY", body)])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    said(process, number)


@BOTH
def test_what_has_ended_is_not_interrupted(number: signal.Signals) -> None:
    process = start([sys.executable, "-c", SCRIPT.replace("BODY", "pass")])
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "done\n", "")


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As for a command that a shell runs in the background."""
    script = (
        f"signal.signal(signal.SIGINT, signal.SIG_IGN){SCRIPT.replace('BODY', 'time.sleep(1)')}"
    )
    process = start([sys.executable, "-c", f"import signal\n{script}"])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("done\n", "")


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The limit on the size of a file ends a write as a full disk does, after some of it."""
    run_dir = tmp_path / "run"
    process = start(
        [COMMAND, *SINE, "--run-dir", str(run_dir)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    output = process.communicate(timeout=200)[1]
    assert process.returncode == 1 and "Traceback" not in output, output
    (line,) = [line for line in output.splitlines() if line.startswith("warptf:")]
    assert f"{run_dir}/checkpoints/latest.keras: cannot be written (" in line
    assert line.endswith("then begin again (a run goes on with --resume)")
    assert not any(path.name.startswith("writing") for path in run_dir.rglob("*"))
    assert not (run_dir / "result.json").exists()
    assert main([*SINE, "--run-dir", str(run_dir), "--resume"]) == 0


def test_output_that_cannot_be_printed(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert process.returncode == 1
    lines = [line for line in process.stderr.splitlines() if line.startswith("warptf:")]
    assert lines == [
        "warptf: error: standard output: No space left on device; free space, then begin again "
        "(a run goes on with --resume)"
    ]
    assert "Exception ignored" not in process.stderr
