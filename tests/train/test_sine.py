"""The sine experiment with a tiny budget."""

import json
import typing
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from contracts.experiment import check_evaluation, check_files

from warptf.train.command.cli import main
from warptf.train.experiments.sine.config import MetaLearner, SineConfig
from warptf.train.experiments.sine.experiment import SineExperiment

EXPERIMENT = SineExperiment()
TINY = dict(units=3, tasks=2, test_tasks=5, evaluation_queries=4, epoch_steps=1, meta_steps=1)


def tiny(meta_learner: str, run_dir: Path, **fields: Any) -> SineConfig:
    steps = dict(meta_steps=0) if meta_learner == "none" else {}
    return SineConfig.from_preset("smoke", meta_learner, run_dir=run_dir, **TINY | steps | fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("sine") / "run"
    EXPERIMENT.train(tiny("warp-maml", run_dir, meta_steps=2))
    return run_dir


def test_run_directory_holds_what_is_promised(finished: Path) -> None:
    check_files(
        finished,
        "checkpoints/best.keras",
        "scores_untrained.json",
        "plots/validation_loss.png",
        "plots/adaptation.png",
    )


def test_result_is_the_mean_of_the_scores(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    losses = np.array(json.loads((finished / "scores.json").read_text())["loss"])
    # Before the two steps of adaptation, and after each.
    assert losses.shape == (5, 3)
    assert result["loss"] == pytest.approx(losses[:, -1].mean())
    np.testing.assert_allclose(result["loss_by_step"], losses.mean(0), atol=1e-6)
    best = min(
        row["loss"]
        for row in map(json.loads, (finished / "metrics.jsonl").read_text().splitlines())
        if row["kind"] == "evaluation"
    )
    assert result["reported_model"] == "best on validation" and best > 0


def test_evaluate_repeats_the_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_evaluation(finished, capsys)


def test_litert_holds_the_learner_adapted_to_a_sine(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "sine.tflite"
    assert main(["export", str(finished), str(out), "--format", "litert", "--steps", "3"]) == 0
    config = SineConfig.from_json(json.loads((finished / "config.json").read_text()))
    x, y = (part[0] for part in next(iter(EXPERIMENT.build_tasks(config).test)).support)
    adapted = keras.models.load_model(finished / "model.keras").adapt(x, y, steps=3)
    found = Interpreter(str(out)).get_signature_runner("predict")(x=x.numpy())["predictions"]
    np.testing.assert_allclose(found, adapted(x), atol=1e-4)


@pytest.mark.few("warp-maml", "fo-b-maml", "meta-sgd", "warp-leap")
@pytest.mark.parametrize("meta_learner", typing.get_args(MetaLearner))
def test_every_method_learns_and_is_scored(meta_learner: str, tmp_path: Path) -> None:
    config = tiny(meta_learner, tmp_path / "run")
    config.validate()
    tasks = EXPERIMENT.build_tasks(config)
    learner = EXPERIMENT.build_learner(config, tasks)
    before = [np.array(v) for v in learner.trainable_variables]
    if config.meta_steps:
        learner.fit(tasks.train_from(0), steps_per_epoch=1, verbose=0)
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, learner.trainable_variables, strict=True)
    ]
    assert any(moved) == bool(config.meta_steps)
    assert np.isfinite(EXPERIMENT.score(learner, tasks)).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(units=0), "--units 0: give at least 1"),
        (dict(warp_units=0), "--warp-units 0: give at least 1"),
        (dict(warp_units=None), "--warp-units None: --meta-learner warp-maml needs one"),
        (dict(shots=0), "--shots 0: give at least 1"),
        (dict(meta_learner="maml"), "--warp-units 20: --meta-learner maml has none; leave it out"),
        (dict(perturbation=0.5), "--perturbation 0.5: is for --meta-learner fo-b-maml"),
        (dict(inner_rate=0.0), "--inner-rate 0.0: give a finite number above 0"),
        (dict(outer_momentum=0.9), "--outer-momentum 0.9: give --outer-optimizer sgd"),
    ],
)
def test_bad_fields_are_named(fields: dict, message: str) -> None:
    config = SineConfig.from_preset("smoke")
    with pytest.raises(ValueError) as error:
        SineConfig(**{**vars(config), **fields}).validate()
    assert message in str(error.value)


def test_the_command_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "sine", "--preset", "smoke", "--meta-learner", "reptile"]
    assert main([*arguments, "--run-dir", str(tmp_path / "run"), "--test-tasks", "3"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["test_tasks"] == 3
