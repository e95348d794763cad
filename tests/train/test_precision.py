"""`--precision` sets what layers compute in."""

import json

import keras
import pytest
import tensorflow as tf

from warptf.train.command.cli import main

SMALL = ["--preset", "smoke", "--meta-steps", "4", "--epoch-steps", "2", "--evaluate-every", "1"]
COMPUTED = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


# The others take as long as these, among the slow tests.
@pytest.mark.parametrize(
    ("experiment", "precision"),
    [
        ("few-shot", "mixed_bfloat16"),
        ("maze", "mixed_float16"),
        ("maze", "mixed_bfloat16"),
        pytest.param("few-shot", "mixed_float16", marks=pytest.mark.slow),
        pytest.param("multi-shot", "mixed_bfloat16", marks=pytest.mark.slow),
        ("multi-shot", "mixed_float16"),
        pytest.param("continual-sine", "mixed_bfloat16", marks=pytest.mark.slow),
        pytest.param("continual-sine", "mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_every_experiment_trains_scores_and_exports(experiment, precision, tmp_path):
    run = tmp_path / "run"
    given = [experiment, *SMALL, "--precision", precision, "--run-dir", str(run)]
    assert main(["train", *given]) == 0
    assert keras.config.dtype_policy().name == "float32"
    result = json.loads((run / "result.json").read_text())
    assert result["meta_steps"] == 4
    learner = keras.models.load_model(run / "model.keras")
    assert {v.dtype for v in learner.model.trainable_variables} == {"float32"}
    computed = {layer.compute_dtype for layer in learner.model._flatten_layers()}
    assert COMPUTED[precision] in computed
    assert (learner.loss_scale is not None) == (precision == "mixed_float16")
    assert main(["export", str(run), str(tmp_path / "served")]) == 0
    assert tf.saved_model.load(tmp_path / "served") is not None


def test_an_unknown_precision_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["train", "sine", "--precision", "float8"])
    assert "float8" in capsys.readouterr().err


def test_surfaces_are_descended_in_float32(capsys):
    assert main(["train", "surfaces", *SMALL, "--precision", "mixed_float16"]) == 1
    assert "--precision mixed_float16: a surface is descended in float32" in capsys.readouterr().err
