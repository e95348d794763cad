"""The multi-shot experiment with a tiny budget."""

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from contracts.experiment import check_evaluation, check_files

from warptf.train.command.cli import main
from warptf.train.experiments.multi_shot.config import MultiShotConfig
from warptf.train.experiments.multi_shot.experiment import MultiShotExperiment

EXPERIMENT = MultiShotExperiment()
train, build_tasks = EXPERIMENT.train, EXPERIMENT.build_tasks
TINY = dict(
    filters=4, batch_size=4, inner_steps=3, evaluation_steps=3, epoch_steps=1, evaluate_every=1
)


def tiny(meta_learner: str, run_dir: Path, **fields: Any) -> MultiShotConfig:
    fields = TINY | dict(meta_steps=0 if meta_learner == "none" else 1) | fields
    return MultiShotConfig.from_preset("smoke", "glyphs", meta_learner, run_dir=run_dir, **fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of an online Warp-Leap run with a learned rate."""
    run_dir = tmp_path_factory.mktemp("multi_shot") / "run"
    train(tiny("warp-leap", run_dir, algorithm="online", learned_rate=True, meta_steps=2))
    return run_dir


def test_run_directory_holds_what_is_promised(finished: Path) -> None:
    check_files(finished, "plots/learning_curves.png")


def test_result_is_one_flat_object(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    assert {"experiment", "meta_learner", "data", "preset", "seed", "seconds"} <= set(result)
    for name in ("accuracy", "macro_f1", "auc", "accuracy_undistorted"):
        assert 0 <= result[name] <= 1
    assert not any(isinstance(value, dict | list) for value in result.values())
    assert result["reported_model"] == "last"


def test_result_is_the_mean_of_the_scores(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    scores = json.loads((finished / "scores.json").read_text())
    assert len(set(scores["tasks"])) == result["test_tasks"] == 10
    for kind, name in (("distorted", "accuracy"), ("undistorted", "accuracy_undistorted")):
        accuracies = scores[kind]["accuracy"]
        assert result[name] == pytest.approx(sum(accuracies) / len(accuracies))


def test_held_out_alphabets_take_no_part_in_training(finished: Path) -> None:
    values = json.loads((finished / "config.json").read_text())
    split = build_tasks(MultiShotConfig.from_json(values)).describe()
    tested = json.loads((finished / "scores.json").read_text())["tasks"]
    assert tested == split["test"]
    assert not set(tested) & {*split["train"], *split["validation"]}


def test_metrics_hold_the_curves_before_and_during_training(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    kinds = [(row["kind"], row["step"]) for row in rows]
    assert kinds == [
        ("evaluation", 0),
        ("training", 1),
        ("evaluation", 1),
        ("training", 2),
        ("evaluation", 2),
    ]
    assert all(len(row["learning_curve"]) == 3 for row in rows if row["kind"] == "evaluation")


def test_evaluate_repeats_the_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_evaluation(finished, capsys)


def test_export_serves_what_the_learner_predicts(finished: Path, tmp_path: Path) -> None:
    assert main(["export", str(finished), str(tmp_path / "served")]) == 0
    served = tf.saved_model.load(tmp_path / "served")
    images = np.random.default_rng(0).random((6, 28, 28, 1), "float32")
    learner = keras.models.load_model(finished / "model.keras")
    np.testing.assert_allclose(
        served.predict(images)["predictions"], learner(images, training=False), rtol=1e-4, atol=1e-5
    )


def litert(run: Path, out: Path, *flags: str) -> Any:
    """Returns the signature of the LiteRT file that a run is exported to."""
    assert main(["export", str(run), str(out), "--format", "litert", *flags]) == 0
    return Interpreter(str(out)).get_signature_runner("predict")


def test_litert_holds_the_learner_adapted_to_a_support_set(finished: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.random((3, 28, 28, 1), "float32"), np.array([0, 3, 1])
    np.savez(tmp_path / "support.npz", x=x, y=y)
    flags = ("--support", str(tmp_path / "support.npz"), "--steps", "2")
    adapted = keras.models.load_model(finished / "model.keras").adapt(x, y, steps=2)
    expected = adapted(x, training=False).numpy()
    found = litert(finished, tmp_path / "learner.tflite", *flags)(x=x)["predictions"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    small = litert(finished, tmp_path / "int8.tflite", *flags, "--quantization", "int8")
    found = small(x=x)["predictions"]
    assert 0 < np.abs(found - expected).max() < 0.1 * np.ptp(expected)


def test_litert_adapts_to_the_first_test_task_by_default(finished: Path, tmp_path: Path) -> None:
    config = MultiShotConfig.from_json(json.loads((finished / "config.json").read_text()))
    x, y = next(iter(build_tasks(config).test)).support
    x, y = x[0].numpy().reshape(-1, 28, 28, 1), y[0].numpy().ravel()
    assert len(x) == 3 * 4
    learner = keras.models.load_model(finished / "model.keras")
    expected = learner.adapt(x, y, batch_size=4)(x, training=False)
    found = litert(finished, tmp_path / "learner.tflite")(x=x)["predictions"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


LITERT = ["--format", "litert", "--support", "{}/support.npz"]
IMAGE = np.zeros((1, 28, 28, 1), "float32")


@pytest.mark.parametrize(
    ("flags", "given", "message"),
    [
        (LITERT, {}, "--support .*: there is no such file"),
        (LITERT, {"images": IMAGE}, "--support .*: holds no arrays x and y; write it by"),
        (LITERT, {"x": IMAGE[0], "y": [0]}, "x"),
        (LITERT, {"x": IMAGE, "y": [99]}, "99"),
        ([*LITERT, "--steps", "0"], {"x": IMAGE, "y": [0]}, "steps must be .* at least 1, got 0"),
        (["--steps", "3"], {}, "--steps 3: is for --format litert; leave it out"),
        (["--support", "x.npz"], {}, "--support x.npz: is for --format litert; leave it out"),
        (["--quantization", "int8"], {}, "--quantization int8: is for --format litert; leave"),
    ],
)
def test_exports_that_cannot_be(
    flags: list[str],
    given: dict[str, Any],
    message: str,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if given:
        np.savez(tmp_path / "support.npz", **given)
    words = [flag.format(tmp_path) for flag in flags]
    assert main(["export", str(finished), str(tmp_path / "out" / "file"), *words]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f"warptf: error: .*{message}", error), error
    assert not (tmp_path / "out").exists()


def test_finished_run_is_not_overwritten(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--preset", "smoke", "--run-dir", str(finished)]) == 1
    assert "holds a finished run" in capsys.readouterr().err


@pytest.mark.few("maml", "reptile", "none")
@pytest.mark.parametrize("meta_learner", ["leap", "reptile", "fomaml", "maml", "finetune", "none"])
def test_every_method_runs(meta_learner: str, tmp_path: Path) -> None:
    result = train(tiny(meta_learner, tmp_path / "run", evaluate_every=0))
    assert result["meta_learner"] == meta_learner
    assert np.isfinite([result["accuracy"], result["auc"]]).all()
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    # Without an evaluation on the way, and even without training, there is a curve to draw.
    assert (tmp_path / "run" / "plots" / "learning_curves.png").is_file()
