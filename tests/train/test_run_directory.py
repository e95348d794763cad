import dataclasses
import errno
import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from warptf.train.engine.run_directory import RunDirectory
from warptf.train.engine.run_lock import RunLock
from warptf.train.engine.whole_files import write_json, write_text, written_whole
from warptf.train.experiments.multi_shot.config import MultiShotConfig
from warptf.train.experiments.sine.config import SineConfig

CONFIG = MultiShotConfig.from_preset("smoke")
SPLIT = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
RESUME = dataclasses.replace(CONFIG, resume=True)


def start(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    with run.lock:
        run.check(CONFIG)
        run.open(CONFIG, SPLIT)
    return run


def test_new_folder_is_made_and_holds_the_configuration(tmp_path: Path) -> None:
    run = start(tmp_path / "deep" / "run")
    assert run.read_config(MultiShotConfig) == CONFIG
    assert not run.finished


def test_earlier_run_needs_resume(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.raises(ValueError, match="holds an unfinished run; add --resume"):
        run.check(CONFIG)
    run.check(RESUME)
    write_json(run.result, {})
    with pytest.raises(ValueError, match="holds a finished run"):
        run.check(CONFIG)


def test_names_of_an_earlier_version_are_the_same_classes(tmp_path: Path) -> None:
    run = start(tmp_path)
    write_json(run.split, SPLIT | {"validation": ["cafe\u0301 "]})
    run.check_split(SPLIT | {"validation": ["caf\u00e9"]})


def test_another_configuration_is_refused_by_its_fields(tmp_path: Path) -> None:
    run = start(tmp_path)
    other = dataclasses.replace(RESUME, filters=9, seed=4)
    with pytest.raises(ValueError, match="--seed was 0, now 4; --filters was 8, now 9"):
        run.check(other)


def test_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="not empty and holds no run"):
        RunDirectory(tmp_path).check(RESUME)


def test_folder_of_a_run_that_was_killed_as_it_began_is_taken(tmp_path: Path) -> None:
    (tmp_path / "writing-config.json").write_text('{"pre')
    run = start(tmp_path)
    assert run.read_config(MultiShotConfig) == CONFIG


def test_numbers_that_json_cannot_hold_become_null(tmp_path: Path) -> None:
    run = start(tmp_path)
    write_json(run.scores, {"loss": [1.0, float("nan")], "accuracy": float("inf")})
    assert run.read_scores() == {"loss": [1.0, None], "accuracy": None}
    run.append_metrics({"kind": "training", "step": 1, "loss": float("-inf")})
    assert run.read_metrics()[-1] == {"kind": "training", "step": 1, "loss": None}


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match="--run-dir .*cannot be written"):
        start(file / "run")


def test_half_written_line_is_dropped(tmp_path: Path) -> None:
    run = start(tmp_path)
    for step in (2, 4):
        run.append_metrics({"kind": "training", "step": step, "seconds": 1.5})
    with run.metrics.open("a") as file:
        file.write('{"kind": "trai')
    assert [row["step"] for row in run.read_metrics()] == [2, 4]
    assert run.training_seconds() == 3.0
    run.truncate_metrics(2)
    assert run.metrics.read_text() == '{"kind": "training", "step": 2, "seconds": 1.5}\n'


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.raises(FileNotFoundError, match="has no result.json"):
        run.read_result()
    for damaged in ("{", "", "[]", "null"):
        run.result.write_text(damaged)
        with pytest.raises(ValueError, match="result.json: is .* --resume writes it again"):
            run.read_result()
    run.result.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="result.json: is damaged, for it is not text"):
        run.read_result()


def test_data_with_other_classes_are_refused(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.check_split(SPLIT)
    with pytest.raises(ValueError, match=r"other test classes .*'e'.*restore them"):
        run.check_split(SPLIT | {"test": ["d", "e"]})
    # The order decides which class has which number, and so the tasks.
    with pytest.raises(ValueError, match="other train classes"):
        run.check_split(SPLIT | {"train": ["b", "a"]})


@pytest.mark.parametrize("line", ["garbage", "[]", '{"step": 1}', '{"kind": "training"}', ""])
def test_damaged_line_is_named(line: str, tmp_path: Path) -> None:
    run = start(tmp_path)
    run.append_metrics({"kind": "training", "step": 1})
    with run.metrics.open("a") as file:
        file.write(line + "\n")
    run.append_metrics({"kind": "training", "step": 2})
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 2 is damaged; remove it and"):
        run.read_metrics()


def test_metrics_that_end_before_the_checkpoint_are_refused(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.append_metrics({"kind": "training", "step": 1})
    with pytest.raises(
        ValueError, match="metrics.jsonl: ends before the checkpoint of meta-step 2"
    ):
        run.truncate_metrics(2)
    run.truncate_metrics(-1)
    assert run.read_metrics() == []


@pytest.mark.parametrize("state", ["is not there", "is empty"])
def test_resume_needs_a_run(state: str, tmp_path: Path) -> None:
    path = tmp_path / "mistyped"
    if state == "is empty":
        path.mkdir()
    with pytest.raises(FileNotFoundError, match=f"--run-dir .*mistyped: {state}, so there is no"):
        RunDirectory(path).check(RESUME)


def test_directory_of_another_experiment_or_of_a_search(tmp_path: Path) -> None:
    run = start(tmp_path / "run")
    other = SineConfig.from_preset("smoke", resume=True)
    with pytest.raises(ValueError, match="config.json: it is a configuration of multi-shot, not"):
        run.check(other)
    search = RunDirectory(tmp_path / "search")
    search.path.mkdir()
    write_json(search.config, {"search": {}, "config": {}})
    with pytest.raises(ValueError, match="holds a search, not a run"):
        search.check(RESUME)


@pytest.mark.parametrize(
    ("field", "value"),
    [("filters", "many"), ("filters", None), ("filters", 1.5), ("tensorboard", 1), ("warp", {})],
)
def test_values_that_are_none_of_their_fields(field: str, value: object, tmp_path: Path) -> None:
    run = start(tmp_path)
    write_json(run.config, {**CONFIG.to_json(), field: value})
    with pytest.raises(ValueError, match=f"config.json: {field} .* is no value of this field"):
        run.check(RESUME)


def test_the_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    first, second = start(tmp_path / "run"), RunDirectory(tmp_path / "run")
    with first.lock, second.lock:
        first.claim(RESUME)
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on .* is writing it"):
            second.claim(RESUME)
    with second.lock:
        second.claim(RESUME)
    assert not second.lock.path.exists()


def test_two_that_begin_at_once(tmp_path: Path) -> None:
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    first.check(CONFIG)
    second.check(CONFIG)
    with first.lock:
        first.open(CONFIG, SPLIT)
        with pytest.raises(BlockingIOError, match="is writing it"):
            second.open(CONFIG, SPLIT)
    with second.lock, pytest.raises(ValueError, match="holds an unfinished run; add --resume"):
        second.open(CONFIG, SPLIT)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import run_lock
run_lock.RunLock(Path(sys.argv[1])).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_lock_of_a_killed_process_is_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # By its file: no need to wait for TensorFlow.
    folder = str(Path(inspect.getfile(RunLock)).parent)
    code = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), folder]).returncode
    assert code == -signal.SIGKILL
    left = json.loads((tmp_path / RunLock.NAME).read_text())
    with RunLock(tmp_path) as lock:
        lock.acquire()
        said = capsys.readouterr().err
        assert f"process {left['pid']} on" in said and "was killed; going on" in said
    assert said.count("\n") == 1 and not lock.path.exists()


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), written_whole(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = start(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    expected = r"cannot be written \(No space left on device\); free space"
    with pytest.raises(OSError, match=f"result.json: {expected}"):
        write_json(run.result, {})
    assert not run.finished and not list(tmp_path.glob("writing-*"))
    with pytest.raises(OSError, match=f"metrics.jsonl: {expected}"):
        run.append_metrics({"kind": "training", "step": 1})
