import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptf.train.engine.result import area_under_curve, classification_figures, confidence_interval


@given(
    hnp.arrays(
        "float64",
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
        elements=st.floats(0, 1),
    )
)
def test_area_is_the_mean_of_the_segment_midpoints(curves: np.ndarray) -> None:
    for curve, area in zip(curves, area_under_curve(curves), strict=True):
        midpoints = [(a + b) / 2 for a, b in zip(curve[:-1], curve[1:], strict=True)]
        assert area == pytest.approx(sum(midpoints) / len(midpoints))


def test_interval_uses_the_tabulated_quantile_of_student() -> None:
    # Ten tasks: t(0.975, 9) = 2.262157; deviation of 0..9 is sqrt(55/6).
    expected = 2.262157 * np.sqrt(55 / 6) / np.sqrt(10)
    assert confidence_interval(np.arange(10.0)) == pytest.approx(expected, rel=1e-6)
    assert confidence_interval(np.array([0.7])) == 0.0


def test_figures_are_means_over_tasks() -> None:
    scores = {
        "accuracy": np.array([0.5, 1.0], "float32"),
        "macro_f1": np.array([0.25, 0.75], "float32"),
    }
    result = classification_figures(scores)
    assert result["accuracy"] == 0.75
    assert result["accuracy_std"] == pytest.approx(np.sqrt(0.125))
    assert result["macro_f1"] == 0.5
    assert result["test_tasks"] == 2
