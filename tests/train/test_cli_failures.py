"""Commands that fail: one clear line, a non-zero exit code, nothing half-written."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from warptf.train.command.cli import main
from warptf.train.experiments.multi_shot.config import MultiShotConfig

SMOKE = ["train", "multi-shot", "--preset", "smoke"]


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Returns the one line on standard error of a command that must fail."""
    assert main(arguments) == 1
    captured = capsys.readouterr()
    line = captured.err.strip().splitlines()[-1]
    assert line.startswith("warptf: error: ")
    assert "Traceback" not in captured.err
    return line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--data", "mnist"], "mnist"),
        (["--meta-learner", "sgd"], "sgd"),
        (["--filters", "many"], "--filters"),
        (["--learning-rate", "1"], "--learning-rate"),
    ],
)
def test_unreadable_arguments_exit_with_two(
    capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*SMOKE, *arguments])
    assert exit_.value.code == 2
    assert word in capsys.readouterr().err


def test_unknown_command_and_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "warptf COMMAND" in capsys.readouterr().err
    assert "experiment 'chess' is unknown: choose one of multi-shot" in fails(
        capsys, ["train", "chess"]
    )


def test_incompatible_flags(capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, [*SMOKE, "--meta-learner", "leap", "--warp", "scale"])
    assert "--warp scale: --meta-learner leap has no warp layers" in line


def test_too_few_alphabets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    line = fails(capsys, [*SMOKE, "--train-alphabets", "900", "--run-dir", str(run)])
    assert "--train-alphabets 900 and the test alphabets (10) need" in line
    assert not run.exists()


def test_too_few_characters(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    line = fails(capsys, [*SMOKE, "--ways", "900", "--run-dir", str(run)])
    assert "alphabets of at least --ways 900 characters" in line
    assert not run.exists()


def test_data_set_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*arguments: object, **keywords: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    run, data = tmp_path / "run", tmp_path / "data"
    arguments = ["--data", "omniglot", "--data-dir", str(data), "--run-dir", str(run)]
    line = fails(capsys, [*SMOKE, *arguments])
    assert str(data) in line and "prepare" in line
    assert not run.exists()


def test_unwritable_run_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = fails(capsys, [*SMOKE, "--run-dir", str(tmp_path / "file" / "run")])
    assert "--run-dir" in line and "cannot be written" in line


def test_divergence_ends_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rates = ["--inner-rate", "1e30", "--filters", "2", "--inner-steps", "3", "--batch-size", "3"]
    line = fails(capsys, [*SMOKE, *rates, "--evaluate-every", "0", "--run-dir", str(tmp_path)])
    assert "not finite by meta-step 2" in line and "lower the rates (--inner-rate" in line
    assert not (tmp_path / "result.json").exists()


def test_checkpoint_of_another_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = MultiShotConfig.from_preset("smoke", filters=5)
    (tmp_path / "config.json").write_text(json.dumps(config.to_json()))
    line = fails(capsys, [*SMOKE, "--run-dir", str(tmp_path), "--resume"])
    assert "--filters was 5, now 8" in line


def test_damaged_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert "is not JSON" in fails(capsys, [*SMOKE, "--run-dir", str(tmp_path), "--resume"])


def test_commands_on_a_run_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in (["evaluate"], ["export"], ["compare"]):
        out = [str(tmp_path / "out")] if command == ["export"] else []
        assert "is not a finished run" in fails(capsys, [*command, str(tmp_path), *out])
    assert not (tmp_path / "out").exists()


def test_export_into_something_that_exists(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "exists already" in fails(capsys, ["export", str(tmp_path / "run"), str(tmp_path)])


@pytest.mark.parametrize("command", ["export", "--csv", "--plot", "--curves"])
@pytest.mark.parametrize("output", ["file/out.png", "new/out.png", "folder"])
def test_outputs_that_cannot_be_written(
    command: str,
    output: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    if output.startswith("new"):
        # Modes of folders do not hold a superuser back.
        monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    # The output is checked first, before the run, which is not there.
    run, out = str(tmp_path / "run"), str(tmp_path / output)
    words = ["export", run, out] if command == "export" else ["compare", run, command, out]
    line = fails(capsys, words)
    assert f" {'OUT' if command == 'export' else command} {out}: " in line
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize("flag", ["--plot", "--curves"])
def test_images_of_no_known_format(
    flag, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = fails(capsys, ["compare", str(tmp_path), flag, str(tmp_path / "runs.txt")])
    assert f"{flag} " in line and "'.txt' is not a suffix of images" in line


def test_archives_that_are_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = ["--archives", str(tmp_path), "--data-dir", str(data)]
    assert "images_background" in fails(capsys, ["data", "prepare", "omniglot", *arguments])


def test_damaged_archive(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, omniglot_archives: Path
) -> None:
    archives, data = tmp_path / "archives", tmp_path / "data"
    shutil.copytree(omniglot_archives, archives)
    victim = archives / "images_evaluation.zip"
    content = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(content[: len(content) // 2])
    arguments = ["--archives", str(archives), "--data-dir", str(data)]
    line = fails(capsys, ["data", "prepare", "omniglot", *arguments])
    assert "images_evaluation.zip" in line
    assert not list(data.rglob("*.tfrecord*"))


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(ValueError, match="is unknown"):
        main(["train", "chess", "--debug"])


def test_help_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "data prepare" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--help"])
    assert exit_.value.code == 0
    assert "--inner-steps" in capsys.readouterr().out
