"""KerasTuner's tuners, as they come and as `LoudTrials` has them, on learners of sines."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

import warptf
from warptf import models, tuning
from warptf.tasks import Sine

SPACE = tuning.SearchSpace({"inner_rate": tuning.Range(0.001, 0.1, log=True)})
STOCK = ("RandomSearch", "Hyperband", "BayesianOptimization", "GridSearch")
LIMIT = {"Hyperband": dict(max_epochs=2)}


def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
    values = SPACE(hp)
    learner = warptf.OnlineMetaLearner(
        models.sine_learner(units=4, layers=1, warp_units=2),
        warptf.inner_optimizers.SGD(values["inner_rate"]),
        inner_steps=1,
    )
    learner.compile(optimizer="adam", loss="mse")
    return learner


@pytest.fixture(scope="module")
def sines() -> Sine:
    return Sine(shots=3, queries=3, evaluation_queries=3, tasks_per_batch=2, evaluation_tasks=2)


def search(tuner: keras_tuner.Tuner, sines: Sine) -> None:
    tuner.search(
        sines.train,
        validation_data=sines.validation,
        epochs=1,
        steps_per_epoch=1,
        shuffle=False,
        verbose=0,
    )


# What differs among them is tested on a black box, below.
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n == "RandomSearch" else [pytest.mark.slow]) for n in STOCK],
)
def test_stock_tuners_take_a_compiled_meta_learner(name: str, sines: Sine, tmp_path: Path) -> None:
    tuner = getattr(keras_tuner, name)(
        build_model,
        objective="val_loss",
        directory=tmp_path,
        seed=0,
        **LIMIT.get(name, dict(max_trials=2)),
    )
    search(tuner, sines)
    trials = tuner.oracle.trials.values()
    assert len(trials) >= 2
    assert {trial.status for trial in trials} == {"COMPLETED"}
    best = min(trials, key=lambda trial: trial.score)
    assert tuner.get_best_hyperparameters()[0].values == best.hyperparameters.values
    learner = tuner.get_best_models()[0]
    losses = learner.evaluate(sines.validation, verbose=0, return_dict=True)
    assert losses["loss"] == pytest.approx(best.score, rel=1e-4)


def result(values: dict[str, Any]) -> float | dict[str, float]:
    if values["x"] == 1:
        raise RuntimeError("out of\nmemory")
    return {"val_loss": float("nan") if values["x"] == 2 else float(values["x"])}


def black_box(name: str, numbers: tuple[int, ...], folder: Path) -> Any:
    """Returns a search over numbers, of which 1 raises and 2 diverges."""
    space = tuning.SearchSpace({"x": tuning.Choices(numbers)})

    class Search(getattr(tuning, name)):
        def train_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return result(space.decode(trial.hyperparameters.values))

    hp = keras_tuner.HyperParameters()
    space(hp)
    return Search(
        hyperparameters=hp,
        objective=keras_tuner.Objective("val_loss", "min"),
        directory=folder,
        max_trials=5,
        seed=0,
    )


@pytest.mark.parametrize("name", STOCK)
def test_failing_trials_keep_their_reason_and_others_go_on(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner = black_box(name, (1, 2, 3, 4), tmp_path)
    tuner.search(verbose=0)
    trials = tuner.oracle.trials.values()
    assert 4 <= len(trials) <= 5
    reasons = {}
    for trial in trials:
        x = trial.hyperparameters.values["x"]
        assert trial.status == ("FAILED" if x < 3 else "COMPLETED")
        reasons[x] = trial.message
    assert reasons[1] == "RuntimeError: out of memory"
    assert "val_loss is not finite (nan)" in reasons[2]
    assert "failed: RuntimeError: out of memory" in capsys.readouterr().err
    assert tuner.get_best_hyperparameters()[0].values["x"] == 3


@pytest.mark.parametrize("name", STOCK)
def test_search_in_which_all_fail(name: str, tmp_path: Path) -> None:
    tuner = black_box(name, (1,), tmp_path)
    with pytest.raises(ValueError, match="all 1 trials failed, the last with: RuntimeError: out"):
        tuner.search(verbose=0)
