import subprocess
import sys

import keras_tuner
import pytest

from warptf import tuning
from warptf.models import WARP_ARCHITECTURES


def test_names_types_and_bounds_reach_keras_tuner() -> None:
    hp = keras_tuner.HyperParameters()
    space = tuning.SearchSpace(
        {
            "rate": tuning.Range(0.01, 1.0, log=True),
            "steps": tuning.Range(1, 9),
            "filters": tuning.Choices((8, 16)),
            "warp": tuning.Choices((None, "conv3x3")),
        }
    )
    assert space(hp) == {"rate": 0.01, "steps": 1, "filters": 8, "warp": None}
    rate, steps, filters, warp = hp.space
    assert (rate.min_value, rate.max_value, rate.sampling) == (0.01, 1.0, "log")
    assert isinstance(steps, keras_tuner.engine.hyperparameters.Int)
    assert (steps.min_value, steps.max_value, steps.sampling) == (1, 9, "linear")
    assert filters.values == [8, 16] and warp.values == ["None", "conv3x3"]


def test_values_of_a_trial_are_decoded() -> None:
    space = tuning.SearchSpace({"size": tuning.Choices((None, 8))})
    assert space.decode({"size": "8", "tuner/epochs": 3}) == {"size": 8}
    assert space.decode({"size": "None"}) == {"size": None}


@pytest.mark.parametrize(
    ("low", "high", "log", "word"),
    [
        (2.0, 1.0, False, "in this order"),
        (0.0, 1.0, True, "above 0"),
        (0.0, float("inf"), False, "finite"),
    ],
)
def test_bad_ranges(low: float, high: float, log: bool, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        tuning.Range(low, high, log)


@pytest.mark.parametrize("values", [(), (1, 1), ("None", None)])
def test_bad_choices(values: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="each once"):
        tuning.Choices(values)


def test_paper_space() -> None:
    values = tuning.PAPER_SPACE(keras_tuner.HyperParameters())
    assert set(tuning.PAPER_SPACE.dimensions["warp"].examples) == set(WARP_ARCHITECTURES) - {"none"}
    assert tuning.PAPER_SPACE.only("tasks", "warp")(keras_tuner.HyperParameters()) == {
        name: values[name] for name in ("tasks", "warp")
    }
    with pytest.raises(ValueError, match="'widths'"):
        tuning.PAPER_SPACE.only("widths")


@pytest.mark.slow
def test_the_package_does_not_import_keras_tuner() -> None:
    program = (
        "import sys, warptf, warptf.train.command.cli;"
        "print([m for m in sys.modules if m.split('.')[0] in ('keras_tuner', 'tensorboard')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
