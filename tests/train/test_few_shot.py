"""The few-shot experiment with a tiny budget."""

import json
import typing
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.experiment import check_evaluation, check_files
from scipy import stats

from warptf.train.command.cli import main
from warptf.train.command.compare import compare
from warptf.train.engine.selection import chosen
from warptf.train.experiments.few_shot.config import FewShotConfig, MetaLearner
from warptf.train.experiments.few_shot.experiment import FewShotExperiment
from warptf.train.methods import METHODS

EXPERIMENT = FewShotExperiment()
TINY = dict(
    filters=2,
    ways=3,
    queries=1,
    evaluation_queries=2,
    inner_steps=2,
    evaluation_steps=2,
    epoch_steps=1,
    evaluate_every=1,
    validation_tasks=4,
    test_tasks=7,
)
WITHOUT_STEPS = dict(inner_steps=0, evaluation_steps=0)
OWN = {
    "proto-net": WITHOUT_STEPS,
    "centroid": WITHOUT_STEPS,
    "cavia": dict(context_size=3),
    "imaml": dict(conjugate_gradient_steps=2),
    "warp-imaml": dict(conjugate_gradient_steps=2),
}


def tiny(meta_learner: str, run_dir: Path, **fields: Any) -> FewShotConfig:
    steps = 1 if METHODS[meta_learner].meta_trained else 0
    fields = TINY | OWN.get(meta_learner, {}) | dict(meta_steps=steps) | fields
    return FewShotConfig.from_preset("smoke", "glyphs", meta_learner, run_dir=run_dir, **fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a Warp-MAML run."""
    run_dir = tmp_path_factory.mktemp("few_shot") / "run"
    EXPERIMENT.train(tiny("warp-maml", run_dir, meta_steps=2, batch_norm="transductive"))
    return run_dir


def test_run_directory_holds_what_is_promised(finished: Path) -> None:
    check_files(
        finished, "checkpoints/best.keras", "scores_untrained.json", "plots/validation_accuracy.png"
    )


def test_result_is_the_mean_of_the_scores(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    scores = json.loads((finished / "scores.json").read_text())
    accuracies = scores["accuracy"]
    assert len(accuracies) == result["test_tasks"] == 7
    assert result["accuracy"] == pytest.approx(sum(accuracies) / 7)
    assert result["macro_f1"] == pytest.approx(sum(scores["macro_f1"]) / 7)
    assert result["batch_norm"] == "transductive"
    assert result["experiment"] == "few-shot" and result["image_size"] == "28x28x1"


def test_best_learner_on_validation_is_reported(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    evaluations = [row for row in rows if row["kind"] == "evaluation"]
    assert [row["step"] for row in evaluations] == [0, 1, 2]
    for row in evaluations:
        for name in ("accuracy", "loss"):
            assert len(row["by_task"][name]) == 4
            assert np.mean(row["by_task"][name]) == pytest.approx(row[name], abs=1e-6)
    result = json.loads((finished / "result.json").read_text())
    best = chosen(evaluations, "accuracy")
    assert result["reported_meta_step"] == best["step"]
    assert result["validation_accuracy"] == best["accuracy"]
    assert result["validation_accuracy_untrained"] == evaluations[0]["accuracy"]
    assert result["reported_model"].startswith("untrained") == (best["step"] == 0)


def test_the_untrained_learner_has_figures_of_its_own(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    config = FewShotConfig.from_json(json.loads((finished / "config.json").read_text()))
    tasks = EXPERIMENT.build_tasks(config)
    scores = EXPERIMENT.build_learner(config, tasks).evaluate_tasks(tasks.test)
    untrained = np.asarray(scores["accuracy"], "float64")
    assert result["accuracy_untrained"] == pytest.approx(untrained.mean(), abs=1e-6)
    assert result["macro_f1_untrained"] == pytest.approx(np.mean(scores["macro_f1"]), abs=1e-6)
    reported = json.loads((finished / "scores.json").read_text())["accuracy"]
    gained = stats.ttest_rel(reported, untrained).confidence_interval(0.95)
    if np.ptp(np.asarray(reported) - untrained):
        middle, half = (gained.high + gained.low) / 2, (gained.high - gained.low) / 2
        assert result["accuracy_gain"] == pytest.approx(middle, abs=1e-5)
        assert result["accuracy_gain_ci95"] == pytest.approx(half, abs=1e-5)
    rows = {row["run"]: row for row in compare([finished])}
    assert rows["warp-maml"]["accuracy"] == result["accuracy"]
    assert rows["warp-maml, untrained"]["accuracy"] == result["accuracy_untrained"]


def test_test_classes_take_no_part_in_training(finished: Path) -> None:
    config = FewShotConfig.from_json(json.loads((finished / "config.json").read_text()))
    split = EXPERIMENT.build_tasks(config).describe()
    tested = json.loads((finished / "scores.json").read_text())["classes"]
    assert tested == split["test"]
    alphabets = {part: {name.split("/")[0] for name in names} for part, names in split.items()}
    assert not alphabets["test"] & (alphabets["train"] | alphabets["validation"])


def test_evaluate_repeats_the_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_evaluation(finished, capsys)


def test_evaluate_may_score_on_other_tasks(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ["--evaluation-queries", "1", "--test-tasks", "3"]
    assert main(["evaluate", str(finished), *other]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["test_tasks"], result["evaluation_queries"]) == (3, 1)
    assert main(["evaluate", str(finished), "--test-tasks", "0"]) == 1
    assert "--test-tasks 0: give at least 1" in capsys.readouterr().err
    assert main(["evaluate", str(finished), "--images", "i"]) == 1
    assert "--images i: the run has none; leave it out" in capsys.readouterr().err


def test_export_adapts_and_predicts(finished: Path, tmp_path: Path) -> None:
    assert main(["export", str(finished), str(tmp_path / "served")]) == 0
    served = tf.saved_model.load(tmp_path / "served")
    images = np.random.default_rng(0).random((3, 28, 28, 1), "float32")
    labels = np.arange(3, dtype="int32")
    learner = keras.models.load_model(finished / "model.keras")
    np.testing.assert_allclose(
        served.adapt_and_predict(images, labels, images, 2)["predictions"],
        learner.adapt(images, labels, steps=2)(images, training=False),
        rtol=1e-4,
        atol=1e-5,
    )


# The others take as long, and other tests have their algorithms.
@pytest.mark.few("cavia", "proto-net", "centroid")
@pytest.mark.parametrize(
    "meta_learner", [name for name in typing.get_args(MetaLearner) if name != "warp-maml"]
)
def test_every_method_runs(meta_learner: str, tmp_path: Path) -> None:
    result = EXPERIMENT.train(tiny(meta_learner, tmp_path / "run", evaluate_every=0))
    assert result["meta_learner"] == meta_learner
    assert result["reported_model"] == "last"
    assert np.isfinite([result["accuracy"], result["macro_f1"]]).all()
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    before = EXPERIMENT.build_learner(
        tiny(meta_learner, tmp_path), EXPERIMENT.build_tasks(tiny(meta_learner, tmp_path))
    )
    after = keras.models.load_model(tmp_path / "run" / "model.keras")
    moved = any(
        not np.array_equal(a.numpy(), b.numpy())
        for a, b in zip(before.model.variables, after.model.variables, strict=True)
    )
    assert moved == METHODS[meta_learner].meta_trained


def test_steps_on_mini_batches(tmp_path: Path) -> None:
    """The protocol of 640 shots, of which 4 are enough here."""
    fields = dict(batch_size=5, shots=4, evaluation_shots=4, evaluation_steps=3, inner_momentum=0.9)
    result = EXPERIMENT.train(tiny("warp-leap", tmp_path / "run", **fields))
    curves = json.loads((tmp_path / "run" / "scores.json").read_text())["support_accuracy"]
    assert np.shape(curves) == (7, 3)
    assert result["evaluation_shots"] == 4
