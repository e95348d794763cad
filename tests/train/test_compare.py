import csv
import json
from pathlib import Path

import pytest

from warptf.train.compare import compare, table, write_csv, write_plot
from warptf.train.few_shot_config import FewShotConfig
from warptf.train.multi_shot_config import MultiShotConfig


def finished(path: Path, accuracy: float, **fields: object) -> Path:
    config = MultiShotConfig.from_preset("smoke", **fields)
    result = dict(experiment="multi-shot", accuracy=accuracy, accuracy_undistorted=0.9,
                  macro_f1=0.5, auc=0.4, seconds=7.0)  # fmt: skip
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config.to_json()))
    (path / "result.json").write_text(json.dumps(result))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        finished(tmp_path / "a", 0.25, seed=0, meta_learner="leap"),
        finished(tmp_path / "b", 0.50, seed=0),
        finished(tmp_path / "c", 0.75, seed=1),
        finished(tmp_path / "d", 0.50, seed=0, second_order="none"),
    ]


def test_seeds_share_a_row_and_configurations_do_not(runs: list[Path]) -> None:
    rows = {row["run"]: row for row in compare(runs)}
    assert set(rows) == {
        "leap",
        "warp-leap --second-order exact",
        "warp-leap --second-order none",
    }
    exact = rows["warp-leap --second-order exact"]
    assert exact["seeds"] == 2
    assert exact["accuracy"] == 0.625
    # Two values 0.25 apart deviate by 0.25/sqrt(2).
    assert exact["accuracy_std"] == pytest.approx(0.17677669)
    assert [row["accuracy"] for row in compare(runs)] == [0.625, 0.5, 0.25]


def test_experiments_are_told_apart(runs: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "few"
    other.mkdir()
    config = FewShotConfig.from_preset("smoke", "glyphs", "leap")
    (other / "config.json").write_text(json.dumps(config.to_json()))
    result = dict(experiment="few-shot", accuracy=0.9, macro_f1=0.8, seconds=7.0)
    (other / "result.json").write_text(json.dumps(result))
    rows = compare([runs[0], other])
    assert [row["run"] for row in rows] == ["few-shot leap", "multi-shot leap"]
    # It has no area under a curve.
    assert "| few-shot leap | 1 | 0.900 ± 0.000 |  | 0.800 ± 0.000 |  |" in table(rows)
    write_csv(rows, tmp_path / "t.csv")


def test_table_csv_and_plot(runs: list[Path], tmp_path: Path) -> None:
    rows = compare(runs)
    assert "| leap | 1 | 0.250 ± 0.000 | 0.900 ± 0.000 |" in table(rows)
    write_csv(rows, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in read] == [0.625, 0.5, 0.25]
    write_plot(rows, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_unfinished_run_is_refused(runs: list[Path]) -> None:
    (runs[0] / "result.json").unlink()
    with pytest.raises(FileNotFoundError, match="has no result.json"):
        compare(runs)
    with pytest.raises(ValueError, match="no run to compare"):
        compare([])
