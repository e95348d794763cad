"""`warptf train` over the processes of a cluster."""

import json
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf
from contracts.cluster import start_workers

from warptf.train.command.cli import main
from warptf.train.engine.distribution import make_strategy
from warptf.train.experiments.sine.config import SineConfig

SINE = ["sine", "--preset", "smoke", "--tasks", "4", "--threads-per-operation", "0"]
SINE += ["--meta-steps", "200", "--epoch-steps", "10", "--evaluate-every", "10"]


def start(run_dir: Path, logs: Path) -> list:
    logs.mkdir()
    flags = [*SINE, "--strategy", "multiworker", "--run-dir", str(run_dir)]
    flags += ["--resume"] if run_dir.exists() else []
    return start_workers([[sys.executable, "-m", "warptf.train", "train", *flags]] * 2, logs)


def finish(workers: list) -> list[int]:
    try:
        return [worker.wait(timeout=240) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def result(run_dir: Path) -> dict:
    found = json.loads((run_dir / "result.json").read_text())
    del found["seconds"]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two workers."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder / "run", folder / "logs")) == [0, 0], (
        folder / "logs" / "err.0"
    ).read_text()[-2000:]
    return folder / "run"


def test_two_workers_end_where_one_process_does(whole: Path, tmp_path: Path) -> None:
    assert main(["train", *SINE, "--run-dir", str(tmp_path / "one")]) == 0
    one, two = result(tmp_path / "one"), result(whole)
    assert set(one) == set(two)
    for name, value in one.items():
        # Sums in another order, over 200 meta-steps.
        expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-3)
        assert two[name] == expected, name


def test_a_killed_worker_ends_the_run_which_resumes(whole: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    chief, other = start(run_dir, tmp_path / "killed")
    metrics = run_dir / "metrics.jsonl"
    while chief.poll() is None:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= 3:
            break
        time.sleep(0.02)
    other.kill()
    assert finish([chief, other]) == [1, -9]
    error = (tmp_path / "killed" / "err.0").read_text().splitlines()[-1]
    assert error.startswith("warptf: error: a worker was lost")
    assert "--resume, to continue from the last checkpoint" in error
    assert not (run_dir / "result.json").exists()
    assert finish(start(run_dir, tmp_path / "resumed")) == [0, 0]
    assert result(run_dir) == result(whole)
    for worker in range(2):
        printed = (tmp_path / "resumed" / f"out.{worker}").read_text().splitlines()[-1]
        assert json.loads(printed)["loss"] == result(whole)["loss"]


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        (None, "TF_CONFIG is not set; set it for each worker, as "),
        ("{", "TF_CONFIG { cannot be read; give one as "),
        ('{"cluster": {}}', "cannot be read"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, '
            '"task": {"type": "worker", "index": 0}}',
            "must name workers alone",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "names 1 workers, but the index of this one is 1",
        ),
    ],
)
def test_a_badly_described_cluster_is_refused(
    cluster: str | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if cluster is not None:
        monkeypatch.setenv("TF_CONFIG", cluster)
    run_dir = tmp_path / "run"
    assert main(["train", *SINE, "--strategy", "multiworker", "--run-dir", str(run_dir)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("warptf: error: --strategy multiworker: ") and message in error
    assert error.count("\n") == 1 and not run_dir.exists()


def test_workers_need_to_be_told_the_run_directory() -> None:
    config = SineConfig.from_preset("smoke", strategy="multiworker")
    with pytest.raises(ValueError, match="multiworker: give all workers the same --run-dir"):
        config.validate()


def test_tasks_that_devices_cannot_share_are_refused() -> None:
    given = dict(strategy="multiworker", tasks=6, accumulation_steps=3, run_dir=Path("run"))
    config = SineConfig.from_preset("smoke", **given)
    config.validate()
    config.check_replicas(2)
    with pytest.raises(ValueError, match="tasks 6: give a multiple of the 4 devices times --acc"):
        config.check_replicas(4)


@pytest.mark.parametrize(
    ("gpus", "strategy", "kind"),
    [
        (2, None, tf.distribute.MirroredStrategy),
        (1, None, type(tf.distribute.get_strategy())),
        (2, "none", type(tf.distribute.get_strategy())),
        (0, "mirrored", tf.distribute.MirroredStrategy),
    ],
)
def test_several_gpus_are_used_unless_the_user_says_otherwise(
    gpus: int, strategy: str | None, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    made = make_strategy(SineConfig.from_preset("smoke", strategy=strategy))
    assert type(made) is kind
