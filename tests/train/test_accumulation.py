"""`--accumulation-steps` changes no figure."""

import json
from pathlib import Path

import pytest

from warptf.train.command.cli import main

SMALL = ["--preset", "smoke", "--meta-steps", "2", "--epoch-steps", "1", "--tasks", "4"]
SMALL += ["--threads-per-operation", "0"]
SURFACES = ["surfaces", "--preset", "smoke", "--meta-steps", "2", "--epoch-steps", "1"]
SURFACES += ["--surfaces", "2", "--threads-per-operation", "0"]
ONLINE = ["multi-shot", *SMALL, "--algorithm", "online", "--filters", "4", "--inner-steps", "2"]


@pytest.mark.parametrize(
    ("flags", "figure"),
    [
        (["sine", *SMALL], "loss"),
        pytest.param(["continual-sine", *SMALL], "loss", marks=pytest.mark.slow),
        pytest.param(SURFACES, "loss", marks=pytest.mark.slow),
        (ONLINE, "accuracy"),
    ],
)
def test_parts_give_the_figures_of_the_whole(flags: list[str], figure: str, tmp_path: Path) -> None:
    found = []
    for parts in (1, 2):
        run_dir = tmp_path / str(parts)
        given = ["--accumulation-steps", str(parts), "--run-dir", str(run_dir)]
        assert main(["train", *flags, *given]) == 0
        found.append(json.loads((run_dir / "result.json").read_text()))
        rows = [json.loads(r) for r in (run_dir / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if row["kind"] == "training"] == [1, 2]
    whole, parts_of_it = found
    assert parts_of_it[figure] == pytest.approx(whole[figure], rel=1e-4)
    assert parts_of_it["reported_meta_step"] == whole["reported_meta_step"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["sine", *SMALL, "--accumulation-steps", "3"], "3: give a divisor of the 4 tasks"),
        (["sine", *SMALL, "--accumulation-steps", "0"], "0: give at least 1"),
        (["multi-shot", *SMALL, "--accumulation-steps", "2"], "2: only the online algorithm"),
        (["maze", "--preset", "smoke", "--accumulation-steps", "2"], "2: only the online"),
    ],
)
def test_bad_numbers_of_parts_are_refused(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert main(["train", *flags, "--run-dir", str(run_dir)]) == 1
    assert f"--accumulation-steps {message}" in capsys.readouterr().err
    assert not run_dir.exists()
