"""Early stopping on accuracies, also where a run is continued."""

import keras
import pytest

from warptf.train.engine.early_stopping import EarlyStopping, stops


def epochs_until_stop(accuracies: list[float], patience: int, split: int) -> int | None:
    """Returns after how many evaluations training stops, the first `split` before a kill."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.stop_training = False
    callback = EarlyStopping(patience, seen=accuracies[:split])
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, accuracy in enumerate(accuracies[split:], split):
        callback.on_epoch_end(epoch, {"loss": 1.0})  # An epoch without an evaluation.
        callback.on_epoch_end(epoch, {"val_accuracy": accuracy})
        if model.stop_training:
            return epoch + 1
    return None


@pytest.mark.parametrize("split", [0, 1, 2, 3])
def test_stops_after_patience_evaluations_without_a_new_best(split: int) -> None:
    accuracies = [0.2, 0.5, 0.4, 0.5, 0.6]
    assert epochs_until_stop(accuracies, 2, split) == 4
    assert epochs_until_stop(accuracies, 3, split) is None


def test_a_stopped_run_is_known_by_its_accuracies() -> None:
    accuracies = [0.2, 0.5, 0.4, 0.5]
    assert [stops(accuracies[:n], 2) for n in range(5)] == [False, False, False, False, True]
    assert not stops(accuracies, 0)


def test_a_loss_is_better_when_it_is_lower() -> None:
    losses = [3.0, 1.0, 2.0, 1.0]
    assert [stops(losses[:n], 2, "loss") for n in range(5)] == [False] * 4 + [True]
