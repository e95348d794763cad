"""The continual experiment with a tiny budget."""

import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts.experiment import check_evaluation, check_files

from warptf.metrics import forgetting, plasticity
from warptf.train.experiments.continual_sine.config import (
    UNTRAINED,
    ContinualSineConfig,
    MetaLearner,
)
from warptf.train.experiments.continual_sine.experiment import (
    ContinualSineExperiment,
    _classification,
)

EXPERIMENT = ContinualSineExperiment()
TINY = dict(
    sub_tasks=2,
    shuffled=(1, 0),
    test_tasks=3,
    evaluation_queries=4,
    epoch_steps=1,
    meta_steps=1,
    batch_size=3,
)


def tiny(meta_learner: str, run_dir: Path, data: str = "sine", **fields: Any) -> Any:
    own = dict(units=4) if data == "sine" else dict(filters=2, ways=2)
    own |= dict(meta_steps=0) if meta_learner in UNTRAINED else {}
    fields = TINY | own | fields
    return ContinualSineConfig.from_preset("smoke", data, meta_learner, run_dir=run_dir, **fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("continual") / "run"
    EXPERIMENT.train(tiny("warp", run_dir, meta_steps=2))
    return run_dir


def test_run_directory_holds_what_is_promised(finished: Path) -> None:
    plots = ("losses_in_order", "losses_shuffled", "fits", "validation_loss")
    check_files(
        finished,
        "checkpoints/best.keras",
        "scores_untrained.json",
        *(f"plots/{name}.png" for name in plots),
    )


def test_figures_follow_from_the_scores(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    scores = json.loads((finished / "scores.json").read_text())
    assert scores["orders"] == {"in_order": [0, 1], "shuffled": [1, 0]}
    for order, suffix in (("in_order", ""), ("shuffled", "_shuffled")):
        # Three sequences, four steps and the start, two sub-tasks.
        losses = np.array(scores[order]["loss"])
        assert losses.shape == (3, 5, 2)
        assert result[f"loss{suffix}"] == pytest.approx(losses[:, -1].mean(), abs=1e-5)
        curves = losses.mean(0).T
        assert result[f"plasticity{suffix}"] == pytest.approx(plasticity(curves).mean(), abs=1e-5)
        forgotten = curves[:, -1] - curves.min(axis=1)
        assert result[f"loss_forgotten{suffix}"] == pytest.approx(forgotten.mean(), abs=1e-5)
        lost = [value for value in forgetting(curves) if not np.isnan(value)]
        expected = np.mean(lost) if lost else 0.0
        assert result[f"forgetting{suffix}"] == pytest.approx(expected, abs=1e-3)
    # Before anything is learned the order does not matter.
    start = [np.array(scores[order]["loss"])[:, 0].mean(-1) for order in scores["orders"]]
    np.testing.assert_allclose(*start, rtol=1e-4)
    fits = {name: np.shape(values) for name, values in scores["fits"].items()}
    assert fits == {"x": (101,), "truth": (3, 101), "fitted": (3, 3, 101)}


def test_evaluate_repeats_the_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_evaluation(finished, capsys)


# Of the methods on glyphs, the ordinary tests take the one that the others are compared with.
@pytest.mark.few("warp-glyphs", "maml-sine", "sgd-sine")
@pytest.mark.parametrize("data", ["sine", "glyphs"])
@pytest.mark.parametrize("meta_learner", typing.get_args(MetaLearner))
def test_every_method_learns_and_is_scored(meta_learner: str, data: str, tmp_path: Path) -> None:
    config = tiny(meta_learner, tmp_path / "run", data, evaluate_every=0)
    result = EXPERIMENT.train(config)
    assert np.isfinite([result["loss"], result["loss_shuffled"]]).all()
    assert ("accuracy" in result) == (data == "glyphs")
    assert result["reported_meta_step"] == config.meta_steps


@pytest.mark.parametrize(
    "fields",
    [dict(execution_steps=2), pytest.param(dict(jit="tasks"), marks=pytest.mark.slow)],
    ids=str,
)
def test_meta_steps_in_one_call_and_tasks_by_xla_change_rounding_alone(
    fields: dict[str, Any], finished: Path, tmp_path: Path
) -> None:
    config = tiny("warp", tmp_path / "run", meta_steps=2, **{"epoch_steps": 2, **fields})
    result = EXPERIMENT.train(config)
    expected = json.loads((finished / "result.json").read_text())
    for name in ("loss", "loss_shuffled", "loss_before", "plasticity"):
        assert result[name] == pytest.approx(expected[name], rel=1e-4), name


def test_descent_that_diverges_is_an_error_and_leaves_no_result(tmp_path: Path) -> None:
    config = tiny("sgd", tmp_path / "run", inner_rate=1e6)
    with pytest.raises(ValueError, match=r"loss that is not finite: lower --inner-rate 1000000\.0"):
        EXPERIMENT.train(config)
    assert not list((tmp_path / "run").glob("*result*"))


def test_meta_training_that_has_only_diverged_sequences_is_an_error(tmp_path: Path) -> None:
    config = tiny("warp", tmp_path / "run", inner_rate=1e6, skip_diverged=True, evaluate_every=0)
    with pytest.raises(ValueError, match=r"every task of the epoch.*diverged.*--schedule cosine"):
        EXPERIMENT.train(config)
    assert not (tmp_path / "run" / "result.json").exists()


def test_losses_of_logits_are_those_of_softmax() -> None:
    logits = np.array([[[1.0, 2.0, -1.0], [0.0, 0.0, 3.0]]])
    figures = _classification(logits, np.array([[0, 2]]))
    odds = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(figures["loss"], -np.log([[odds[0, 0, 0], odds[0, 1, 2]]]))
    np.testing.assert_array_equal(figures["accuracy"], [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(sub_tasks=0), "--sub-tasks 0: give at least 1"),
        (dict(shuffled=(0, 0, 1, 2, 3)), "give each of 0 to 4 once"),
        (dict(warp_units=None), "--warp-units None: --data sine --meta-learner warp needs it"),
        (dict(ways=3), "--ways 3: not for --data sine --meta-learner warp"),
        (dict(data="glyphs"), "--units 16: not for --data glyphs --meta-learner warp"),
        (dict(meta_learner="maml"), "--warp-units 8: not for --data sine --meta-learner maml"),
        (dict(execution_steps=3), "--execution-steps 3: give a divisor of --epoch-steps 2"),
        (dict(inner_rate=0.0), "--inner-rate 0.0: give a finite number above 0"),
    ],
)
def test_bad_fields_are_named(fields: dict, message: str) -> None:
    config = ContinualSineConfig.from_preset("smoke")
    with pytest.raises(ValueError) as error:
        ContinualSineConfig(**{**vars(config), **fields}).validate()
    assert message in str(error.value)


def test_untrained_methods_have_no_meta_steps() -> None:
    config = ContinualSineConfig.from_preset("smoke", meta_learner="sgd", meta_steps=2)
    with pytest.raises(ValueError, match="--meta-steps 2: --meta-learner sgd has no meta-training"):
        config.validate()
