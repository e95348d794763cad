"""The maze experiment with a tiny budget."""

import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from contracts.experiment import check_evaluation, check_files
from PIL import Image

from warptf.train.command.cli import main
from warptf.train.experiments.maze.config import MazeConfig, MetaLearner
from warptf.train.experiments.maze.experiment import MazeExperiment

EXPERIMENT = MazeExperiment()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("maze") / "run"
    EXPERIMENT.train(MazeConfig.from_preset("smoke", run_dir=run_dir))
    return run_dir


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_run_directory_holds_what_is_promised(finished: Path) -> None:
    check_files(finished, "plots/episode.gif", "plots/reward.png", "plots/validation_reward.png")


def test_figures_follow_from_the_scores(finished: Path) -> None:
    result, rewards = read(finished / "result.json"), read(finished / "scores.json")["reward"]
    assert len(rewards) == result["test_tasks"] == 12
    # Nothing but whole rewards of 10 is earned.
    assert set(np.array(rewards) % 10) == {0.0}
    assert result["reward"] == pytest.approx(np.mean(rewards))
    assert result["reward_std"] == pytest.approx(np.std(rewards, ddof=1))
    assert 0 < result["reward_random"] < result["reward_optimal"]


def test_the_film_shows_every_step(finished: Path) -> None:
    with Image.open(finished / "plots" / "episode.gif") as film:
        # GIFs join pictures that are alike, such as those of moves into walls.
        assert 2 <= film.n_frames <= 20
        assert film.size == (7 * 16, 7 * 16)


def test_evaluate_repeats_the_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_evaluation(finished, capsys)


def test_litert_holds_a_step_of_the_agent(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "agent.tflite"
    export = ["export", str(finished), str(out), "--format", "litert"]
    assert main([*export, "--support", "x.npz"]) == 1
    assert "--support x.npz: an agent adapts to none" in capsys.readouterr().err
    assert main([*export, "--quantization", "int8"]) == 1
    assert "call warptf.export_litert with" in capsys.readouterr().err
    assert main(export) == 0
    assert "act" in Interpreter(str(out)).get_signature_list()


@pytest.mark.few("warp-rnn", "hebb-rnn", "rnn")
@pytest.mark.parametrize("meta_learner", typing.get_args(MetaLearner))
def test_every_memory_is_trained(meta_learner: MetaLearner, tmp_path: Path) -> None:
    config = MazeConfig.from_preset(
        "smoke", meta_learner, run_dir=tmp_path / "run", meta_steps=3, evaluate_every=0
    )
    assert EXPERIMENT.train(config)["reported_meta_step"] == 3


def test_gradients_are_clipped() -> None:
    config = MazeConfig.from_preset("smoke", clip_norm=0.5)
    learner = EXPERIMENT.build_learner(config, EXPERIMENT.build_tasks(config))
    assert learner.optimizer.global_clipnorm == 0.5
    assert learner.task_optimizer.global_clipnorm == 0.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(size=8), "--size 8: give an odd number of at least 5"),
        (dict(size=3), "--size 3: give an odd number of at least 5"),
        (dict(episode_steps=-1), "--episode-steps -1: give at least 1"),
        (dict(wall_penalty=-1.0), "--wall-penalty -1.0: give a finite number of at least 0"),
        (dict(discount=1.5), "--discount 1.5: give a number from 0 to 1"),
        (dict(task_rate=0.0), "--task-rate 0.0: give a finite number above 0"),
        (dict(meta_rate=-1.0), "--meta-rate -1.0: give a finite number above 0"),
        (dict(clip_norm=0.0), "--clip-norm 0.0: give a finite number above 0"),
        (dict(segment_steps=3), "--segment-steps 3: give a divisor of --episode-steps"),
        (dict(test_episodes=10), "--test-episodes 10: give a multiple of --episodes 6"),
        (dict(jit="tasks"), "--jit tasks: episodes are lived side by side"),
        (dict(meta_learner="rnn", lstm_units=3), "--lstm-units 3: --meta-learner rnn has none"),
        (dict(lstm_units=None), "--lstm-units None: --meta-learner warp-rnn needs it"),
        (dict(warp_update_interval=0), "--warp-update-interval 0: give at least 1"),
        (dict(meta_learner="hebb-rnn", second_order="none"), "--second-order none: --meta-learner"),
    ],
)
def test_bad_fields_are_named(fields: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        MazeConfig.from_preset("smoke", **fields).validate()
    assert message in str(error.value)
