import dataclasses
from pathlib import Path

import pytest

from warptf.train.multi_shot_config import MultiShotConfig
from warptf.train.run_directory import RunDirectory

CONFIG = MultiShotConfig.from_preset("smoke")
SPLIT = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
RESUME = dataclasses.replace(CONFIG, resume=True)


def start(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    run.check(CONFIG)
    run.open(CONFIG, SPLIT)
    return run


def test_new_folder_is_made_and_holds_the_configuration(tmp_path: Path) -> None:
    run = start(tmp_path / "deep" / "run")
    assert MultiShotConfig.from_json(run.read_json(run.config)) == CONFIG
    assert not run.finished


def test_earlier_run_needs_resume(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.raises(ValueError, match="holds an unfinished run; add --resume"):
        run.check(CONFIG)
    run.check(RESUME)
    run.write_json(run.result, {})
    with pytest.raises(ValueError, match="holds a finished run"):
        run.check(CONFIG)


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
    assert MultiShotConfig.from_json(run.read_json(run.config)) == CONFIG


def test_numbers_that_json_cannot_hold_become_null(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.write_json(run.scores, {"loss": [1.0, float("nan")], "accuracy": float("inf")})
    assert run.read_json(run.scores) == {"loss": [1.0, None], "accuracy": None}
    run.append_metrics({"step": 1, "loss": float("-inf")})
    assert run.read_metrics()[-1] == {"step": 1, "loss": None}


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
        run.read_json(run.result)
    run.result.write_text("{")
    with pytest.raises(ValueError, match="result.json: is not JSON"):
        run.read_json(run.result)


def test_data_with_other_classes_are_refused(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.check_split(SPLIT)
    with pytest.raises(ValueError, match=r"other test classes .*'e'.*restore them"):
        run.check_split(SPLIT | {"test": ["d", "e"]})
    # The order decides which class has which number, and so the tasks.
    with pytest.raises(ValueError, match="other train classes"):
        run.check_split(SPLIT | {"train": ["b", "a"]})
