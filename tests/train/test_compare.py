import csv
import json
from pathlib import Path

import pytest

from warptf.train.command.cli import main
from warptf.train.command.compare import compare, table, write_csv, write_curves, write_plot
from warptf.train.experiments.few_shot.config import FewShotConfig
from warptf.train.experiments.maze.config import MazeConfig
from warptf.train.experiments.multi_shot.config import MultiShotConfig


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


def maze_run(path: Path, rewards: list[float], **fields: object) -> Path:
    config = MazeConfig.from_preset("smoke", **fields)
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config.to_json()))
    result = dict(experiment="maze", reward=rewards[-1], seconds=7.0, reward_random=5.0,
                  reward_optimal=270.0)  # fmt: skip
    (path / "result.json").write_text(json.dumps(result))
    rows = [dict(kind="training", step=10 * i, reward=r) for i, r in enumerate(rewards, 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_curves_of_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict = {}
    monkeypatch.setattr(
        "warptf.plotting.bands",
        lambda values, path, **options: drawn.update(values=values, **options),
    )
    paths = [
        maze_run(tmp_path / "a", [1.0, 2.0, 3.0], seed=0),
        maze_run(tmp_path / "b", [3.0, 6.0], seed=1),
        maze_run(tmp_path / "c", [1.0, 1.0, 2.0], meta_learner="rnn"),
    ]
    write_curves(paths, tmp_path / "curves.png")
    assert drawn["values"] == {"warp-rnn": [[1.0, 2.0], [3.0, 6.0]], "rnn": [[1.0, 1.0, 2.0]]}
    assert drawn["steps"] == {"warp-rnn": [10, 20], "rnn": [10, 20, 30]}
    assert drawn["levels"] == {"shortest paths": 270.0, "random actions": 5.0}
    # The most reward first.
    assert [row["run"] for row in compare(paths)] == ["warp-rnn", "rnn"]
    (paths[0] / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match="no meta-training to draw"):
        write_curves(paths, tmp_path / "curves.png")


def test_the_command_draws_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, image = maze_run(tmp_path / "a", [1.0, 2.0]), tmp_path / "new" / "curves.png"
    assert main(["compare", str(run), "--curves", str(image)]) == 0
    assert image.read_bytes().startswith(b"\x89PNG")
    assert "| warp-rnn | 1 | 2.000 ± 0.000 |" in capsys.readouterr().out


def test_unfinished_run_is_refused(runs: list[Path]) -> None:
    (runs[0] / "result.json").unlink()
    with pytest.raises(FileNotFoundError, match="has no result.json"):
        compare(runs)
    with pytest.raises(ValueError, match="no run to compare"):
        compare([])
