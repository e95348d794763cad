"""Run directories of the first version are evaluated, compared and continued.

`old_runs` holds what its `warptf train sine` wrote: a run that ended, and the same one stopped
after its second meta-step; and the configurations of `--preset smoke` of all experiments.
"""

import json
import shutil
from pathlib import Path

import pytest

from warptf.train.command.cli import main
from warptf.train.experiments import EXPERIMENTS

OLD = Path(__file__).parent / "old_runs"
CONFIGS = json.loads((OLD / "configs.json").read_text())


def flags(run: Path) -> list[str]:
    config = json.loads((run / "config.json").read_text())
    names = ("preset", "meta_learner", "units", "layers", "tasks", "test_tasks", "inner_steps")
    names += ("evaluation_steps", "meta_steps", "epoch_steps", "evaluate_every")
    return [word for name in names for word in ("--" + name.replace("_", "-"), str(config[name]))]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_configurations_are_read(name: str) -> None:
    config = EXPERIMENTS[name].config_class.from_json(CONFIGS[name])
    written = json.loads(json.dumps(config.to_json()))
    assert {field: written[field] for field in CONFIGS[name]} == CONFIGS[name]
    config.validate()


def test_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OLD / "sine", tmp_path / "run")
    written = json.loads((OLD / "sine" / "result.json").read_text())
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in set(written) - {"seconds"}:
        # Written on another machine.
        expected = written[name]
        approximate = isinstance(expected, float | list)
        assert result[name] == (pytest.approx(expected, rel=1e-4) if approximate else expected)
    assert main(["compare", str(tmp_path / "run")]) == 0
    assert f"| maml | 1 | {written['loss']:.3f}" in capsys.readouterr().out


def test_an_unfinished_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / "sine-unfinished", run)
    assert main(["train", "sine", *flags(run), "--run-dir", str(run), "--resume"]) == 0
    written = json.loads((OLD / "sine" / "result.json").read_text())
    result = json.loads((run / "result.json").read_text())
    assert result["loss"] == pytest.approx(written["loss"], rel=1e-4)
    assert result["reported_meta_step"] == written["reported_meta_step"]
