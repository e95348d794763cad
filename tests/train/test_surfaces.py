"""The surface experiment with a tiny budget."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts.experiment import check_evaluation, check_files

from warptf.train.experiments.surfaces.config import SurfacesConfig
from warptf.train.experiments.surfaces.experiment import (
    AT_MINIMUM,
    SAME,
    SurfacesExperiment,
    surface_value,
)

EXPERIMENT = SurfacesExperiment()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("surfaces") / "run"
    EXPERIMENT.train(SurfacesConfig.from_preset("smoke", run_dir=run_dir))
    return run_dir


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_run_directory_holds_what_is_promised(finished: Path) -> None:
    plots = ("surface.png", "descent.gif", "final.png", "validation_loss.png")
    check_files(
        finished,
        "checkpoints/best.keras",
        "scores_untrained.json",
        *(f"plots/{name}" for name in plots),
    )


def test_figures_follow_from_the_scores(finished: Path) -> None:
    result, scores = read(finished / "result.json"), read(finished / "scores.json")
    warped, plain = np.array(scores["loss"]), np.array(scores["loss_plain"])
    # Three surfaces of two starts; five steps and the start.
    assert warped.shape == plain.shape == (6, 6)
    # Both set out from the same points of the same surfaces.
    np.testing.assert_allclose(warped[:, 0], plain[:, 0], atol=1e-4)
    moved = np.array(scores["slope"]) >= AT_MINIMUM
    assert result["starts_compared"] == moved.sum()
    apart = abs(warped - plain)[:, -1] > SAME
    assert result["better"] == pytest.approx(np.mean((warped < plain)[moved, -1]))
    assert result["same"] == pytest.approx(np.mean(~apart[moved]))
    better = (warped < plain)[moved & apart, -1]
    assert result["better_where_apart"] == pytest.approx(better.mean() if better.size else 0.0)
    assert result["loss"] == pytest.approx(warped[:, -1].mean(), abs=1e-4)
    assert result["loss_plain"] == pytest.approx(plain[:, -1].mean(), abs=1e-4)


def test_plain_descent_is_gradient_descent_on_the_surface(finished: Path) -> None:
    scores = read(finished / "scores.json")
    for surface, points in zip(scores["surface"], scores["plain"], strict=False):
        x = np.array(points[0])
        for expected in points[1:]:
            slope = [
                (surface_value(surface, x + step) - surface_value(surface, x - step)) / 2e-4
                for step in np.eye(2) * 1e-4
            ]
            x = x - 0.1 * np.array(slope)
            np.testing.assert_allclose(x, expected, atol=2e-4)


def test_evaluate_repeats_the_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_evaluation(finished, capsys)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(starts=0), "--starts 0: give at least 1"),
        (dict(warp_units=0), "--warp-units 0: give at least 1"),
        (dict(inner_rate=-1.0), "--inner-rate -1.0: give a finite number above 0"),
        (dict(execution_steps=5), "--execution-steps 5: give a divisor of --epoch-steps 2"),
        (dict(clip_norm=0.0), "--clip-norm 0.0: give a finite number above 0"),
        (dict(surfaces=0), "--surfaces 0: give at least 1"),
        (dict(second_order="some"), "--second-order some: choose one of exact, none"),
    ],
)
def test_bad_fields_are_named(fields: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        SurfacesConfig.from_preset("smoke", **fields).validate()
    assert message in str(error.value)
