"""`warptf tune`, on the sine experiment."""

import csv
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from warptf.train.command.cli import main
from warptf.train.engine.run_lock import RunLock
from warptf.train.experiments import EXPERIMENTS
from warptf.train.experiments.sine.config import SineConfig
from warptf.train.tune.report import flags_of
from warptf.train.tune.space import read_space

# A learner that is traced in no time.
SMALL = ["--preset", "smoke", "--meta-learner", "reptile", "--units", "4", "--layers", "1"]
SMALL += ["--tasks", "2", "--test-tasks", "4", "--inner-steps", "1", "--evaluation-steps", "1"]
SMALL += ["--meta-steps", "3", "--epoch-steps", "1"]
SMALL += ["--evaluate-every", "0", "--checkpoint-every", "0"]
TUNE = ["tune", "sine", *SMALL]
RATES = ["--space", "inner_rate=0.001:0.1:log"]
# No learner survives the second rate.
HALF = ["--tuner", "grid", "--space", "inner_rate=0.01,1e30,0.02"]


def tune(capsys: pytest.CaptureFixture[str], flags: list[str], run_dir: Path) -> dict[str, Any]:
    assert main([*TUNE, *flags, "--run-dir", str(run_dir)]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not any(isinstance(value, dict | list) for value in printed.values())
    return printed


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 1
    captured = capsys.readouterr().err
    # Of KerasTuner, one for each trial that failed.
    assert "Traceback" not in captured
    line = captured.strip().splitlines()[-1]
    assert line.startswith("warptf: error: ")
    return line


def trials(run_dir: Path) -> list[dict[str, Any]]:
    rows = json.loads((run_dir / "trials.json").read_text())
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


# The others of them end with one in the tests below.
@pytest.mark.parametrize("tuner", ["hyperband", pytest.param("random", marks=pytest.mark.slow)])
def test_every_tuner_ends_with_a_best_trial(
    tuner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = tune(capsys, ["--tuner", tuner, "--max-trials", "4", *RATES], tmp_path / "search")
    rows = trials(tmp_path / "search")
    assert len(rows) == printed["trials"] == 4 and printed["failed"] == 0
    best = min(rows, key=lambda row: row["loss"])
    assert printed["best_value"] == best["loss"]
    assert rows[printed["best_trial"]]["loss"] == best["loss"]
    assert all(0.001 <= row["inner_rate"] <= 0.1 for row in rows)
    if tuner == "hyperband":
        assert [row["meta_steps"] for row in rows] == [1, 1, 1, 3]
        chosen = min(rows[:3], key=lambda row: row["loss"])
        assert rows[3]["inner_rate"] == chosen["inner_rate"]


def test_failed_trials_are_recorded_and_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = tmp_path / "search"
    printed = tune(capsys, [*HALF, "--tensorboard"], search)
    rows = trials(search)
    assert [row["status"] for row in rows] == ["completed", "failed", "completed"]
    assert [row["inner_rate"] for row in rows] == [0.01, 1e30, 0.02]
    assert "not finite" in rows[1]["reason"] and "lower the rates" in rows[1]["reason"]
    assert (printed["trials"], printed["failed"]) == (3, 1)
    with (search / "trials.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["inner_rate"]) for row in table] == [0.01, 1e30, 0.02]
    assert (search / "plots" / "parallel_coordinates.png").stat().st_size > 1000
    assert len(list((search / "tensorboard").rglob("events.out.tfevents*"))) == 4
    noted = json.loads((search / "keras_tuner" / "trial_01" / "trial.json").read_text())
    assert noted["status"] == "FAILED" and "not finite" in noted["message"]


def test_the_best_flags_train_to_the_figure_of_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = tune(
        capsys, [*RATES, "--max-trials", "2", "--evaluate-every", "1"], tmp_path / "search"
    )
    best = json.loads((tmp_path / "search" / "best.json").read_text())
    assert " ".join(best["flags"]) == printed["best_configuration"]
    run = tmp_path / "run"
    assert main([*best["command"].split()[1:], "--run-dir", str(run)]) == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["kind"] == "evaluation"]
    assert min(losses) == pytest.approx(best["value"], rel=1e-6)
    # Test tasks are none of a search's business.
    assert not list((tmp_path / "search").rglob("result.json"))
    assert not list((tmp_path / "search").rglob("scores.json"))


def test_search_in_which_all_trials_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = tmp_path / "search"
    flags = ["--tuner", "grid", "--space", "inner_rate=1e30,1e31", "--run-dir", str(search)]
    line = fails(capsys, [*TUNE, *flags])
    assert line.startswith("warptf: error: all 2 trials failed, the last with: meta-training came")
    assert [row["status"] for row in trials(search)] == ["failed", "failed"]
    assert not (search / "best.json").exists()


def kill_in_trial(flags: list[str], run_dir: Path, ended: int) -> None:
    """Starts a search in a process of its own and kills it once some trials have ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "warptf.train", *flags, "--run-dir", str(run_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and len(list(run_dir.glob("trials/*.json"))) < ended:
        time.sleep(0.02)
    # In the middle of the next one.
    time.sleep(0.3)
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the search ended before it was killed"


@pytest.mark.parametrize(
    "tuner",
    [
        "bayesian",
        *(pytest.param(t, marks=pytest.mark.slow) for t in ("random", "grid", "hyperband")),
    ],
)
def test_killed_and_resumed_search_equals_an_uninterrupted_one(
    tuner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    flags = ["--tuner", tuner, "--max-trials", "4", *RATES]
    printed = tune(capsys, flags, whole)
    kill_in_trial([*TUNE, *flags], killed, ended=2)
    outcomes = {path: path.stat().st_mtime_ns for path in killed.glob("trials/*.json")}
    assert outcomes and not (killed / "best.json").exists()
    resumed = tune(capsys, [*flags, "--resume"], killed)
    assert {**resumed, "run_dir": ""} == {**printed, "run_dir": ""}
    assert trials(killed) == trials(whole)
    # Those that had ended were not run again.
    assert {path: path.stat().st_mtime_ns for path in outcomes} == outcomes


@pytest.mark.slow
def test_two_workers_find_what_one_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*HALF, "--max-trials", "3"]
    one = tune(capsys, flags, tmp_path / "one")
    two = tune(capsys, [*flags, "--workers", "2"], tmp_path / "two")
    names = {"best_trial": 0, "run_dir": ""}
    assert {**one, **names} == {**two, **names}

    def by_rate(run_dir: Path) -> list[dict[str, Any]]:
        rows = [{**row, "trial": 0} for row in trials(run_dir)]
        return sorted(rows, key=lambda row: row["inner_rate"])

    assert by_rate(tmp_path / "one") == by_rate(tmp_path / "two")
    logs = {path.name for path in (tmp_path / "two" / "workers").iterdir()}
    assert logs == {"chief.log", "worker0.log", "worker1.log"}


@pytest.mark.slow
def test_workers_end_with_a_search_that_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*RATES, "--max-trials", "6", "--workers", "2"]
    kill_in_trial([*TUNE, *flags], tmp_path / "killed", ended=1)
    time.sleep(2.0)
    outcomes = set((tmp_path / "killed").glob("trials/*.json"))
    time.sleep(4.0)
    assert set((tmp_path / "killed").glob("trials/*.json")) == outcomes
    resumed = tune(capsys, [*flags, "--resume"], tmp_path / "killed")
    whole = tune(capsys, flags[:-2], tmp_path / "whole")
    assert resumed["best_value"] == whole["best_value"]
    rates = [{row["inner_rate"] for row in trials(tmp_path / name)} for name in ("killed", "whole")]
    assert rates[0] == rates[1]


@pytest.mark.slow
def test_workers_that_cannot_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [*RATES, "--workers", "2", "--run-dir", str(tmp_path / "search")]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("warptf.train.tune.workers._free_port", lambda: port)
        line = fails(capsys, [*TUNE, *flags])
    assert "--workers: the process chief ended with code 1" in line and "--resume" in line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--max-trials", "0"], ["--max-trials 0: give at least 1"]),
        (["--workers", "0"], ["--workers 0: give at least 1"]),
        (["--strategy", "multiworker"], ["--strategy multiworker", "give --workers"]),
        (["--objective", "auc"], ["--objective auc", "sine is searched by loss"]),
        (["--space", "width=1,2"], ["'width' cannot be searched", "inner_rate"]),
        (["--space", "seed=1,2"], ["'seed' cannot be searched"]),
        (["--space", "meta_learner=maml"], ["'meta_learner' cannot be searched"]),
        (["--space", "units=4,8"], ["--units is given already"]),
        (["--space", "inner_rate=fast"], ["'fast' is not a value of this field", "NAME=A,B,C"]),
        (["--space", "inner_rate=1:0.1"], ["in this order"]),
        (["--space", "inner_rate=0:1:log"], ["above 0"]),
        (["--space", "inner_rate=0.1:1:cubic"], ["cubic is no kind of range"]),
        (["--space", "inner_rate=-1,1"], ["--inner-rate -1.0: give a finite number above 0"]),
        (["--space", "second_order=exact,twice"], ["'twice' is not a value"]),
        (["--epoch-steps", "2"], ["--meta-steps 3: give a multiple"]),
    ],
)
def test_bad_flags_are_refused_before_anything_is_written(
    flags: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, [*TUNE, *flags, "--run-dir", str(tmp_path / "search")])
    assert all(word in line for word in words), line
    assert not (tmp_path / "search").exists()


def test_hyperband_sets_the_meta_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["tune", "sine", "--preset", "smoke", "--tuner", "hyperband"]
    run_dir = tmp_path / "search"
    arguments += ["--run-dir", str(run_dir)]
    assert "sets them" in fails(capsys, [*arguments, "--space", "meta_steps=2,4"])
    assert "nothing to cut" in fails(capsys, [*arguments, "--meta-learner", "none"])
    assert not run_dir.exists()


def test_folders_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*TUNE, "--tuner", "grid", "--space", "inner_rate=0.01", "--run-dir"]
    assert main([*flags, str(tmp_path / "search")]) == 0
    assert "add --resume" in fails(capsys, [*flags, str(tmp_path / "search")])
    other = [*flags, str(tmp_path / "search"), "--resume", "--tuner", "random", "--queries", "3"]
    line = fails(capsys, other)
    assert "--queries was 10, now 3" in line and "--tuner was grid, now random" in line
    assert "is not there, so there is no search" in fails(
        capsys, [*flags, str(tmp_path / "serch"), "--resume"]
    )
    with RunLock(tmp_path / "search") as lock:
        lock.acquire()
        line = fails(capsys, [*flags, str(tmp_path / "search"), "--resume"])
        assert f"process {os.getpid()} on" in line and "is writing it" in line
    content = json.loads((tmp_path / "search" / "config.json").read_text())
    run = next((tmp_path / "search" / "trials").glob("*/config.json")).parent
    assert "holds a run, not a search" in fails(capsys, [*flags, str(run), "--resume"])
    assert "holds a search, not a run" in fails(capsys, ["evaluate", str(tmp_path / "search")])
    for damaged, word in (
        ("", "is not JSON (it is empty)"),
        (json.dumps({**content, "experiment": "maze"}), "holds a search of maze, not of sine"),
        (json.dumps({**content, "search": {"tunr": "grid"}}), "is damaged, or of another version"),
    ):
        (tmp_path / "search" / "config.json").write_text(damaged)
        assert word in fails(capsys, [*flags, str(tmp_path / "search"), "--resume"])
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("")
    assert "holds no search" in fails(capsys, [*flags, str(tmp_path / "letters")])


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_default_space_of_every_method_is_permitted(name: str) -> None:
    experiment = EXPERIMENTS[name]
    for method in experiment.config_class.choices()["meta_learner"]:
        config = experiment.config_class.from_preset(
            "smoke", **({} if name == "surfaces" else {"meta_learner": method})
        )
        space = read_space((), config, {"tasks"})
        assert space.dimensions and "tasks" not in space.dimensions
        texts = [f"{n}={','.join(map(str, d.examples))}" for n, d in space.dimensions.items()]
        asked = read_space(texts, config, ())
        for field, dimension in space.dimensions.items():
            assert asked.dimensions[field].examples == dimension.examples
        assert ("warp" in space.dimensions) == (getattr(config, "warp", None) is not None)


def test_default_space_surrounds_the_preset() -> None:
    config = SineConfig.from_preset("smoke", "maml")
    space = read_space((), config, ())
    assert set(space.dimensions) == {
        "inner_rate",
        "initialization_rate",
        "inner_steps",
        "units",
        "tasks",
    }
    low, high = space.dimensions["inner_rate"].examples
    assert math.isclose(low * 10, config.inner_rate) and math.isclose(high / 10, config.inner_rate)
    assert space.dimensions["units"].examples == (4, 8, 16)


def test_flags_of_a_configuration() -> None:
    experiment = EXPERIMENTS["few-shot"]
    config = experiment.config_class.from_preset(
        "smoke", "folder", "maml", images=Path("/photographs"), resize=False, filters=4
    )
    assert set(flags_of(config)) == {
        *("--preset", "smoke", "--data", "folder", "--images", "/photographs", "--no-resize"),
        *("--meta-learner", "maml", "--learner", "four-block", "--filters", "4"),
        *("--outer-optimizer", "adam"),
    }


def test_help_shows_both_kinds_of_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["tune", "sine", "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "--tuner" in text and "--max-trials" in text and "--inner-rate" in text


def test_unreadable_flags_exit_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*TUNE, "--tuner", "annealing"])
    assert exit_.value.code == 2
    assert "annealing" in capsys.readouterr().err
