"""Early stopping at the meta level, on accuracies that are measured now and then."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

MONITORED = "val_accuracy"


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping on the validation accuracy, patience counted in evaluations.

    Args:
        patience: Evaluations without a new best accuracy after which training ends.
        seen: The accuracies of evaluations before a run was continued.
    """

    def __init__(self, patience: int, seen: Sequence[float] = ()) -> None:
        super().__init__(monitor=MONITORED, mode="max", patience=patience)
        self._seen = list(seen)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes up where the run was left.

        Args:
            logs: Not used.
        """
        super().on_train_begin(logs)
        for epoch, accuracy in enumerate(self._seen):
            self.on_epoch_end(epoch, {MONITORED: accuracy})

    def get_monitor_value(self, logs: dict[str, Any] | None) -> float | None:
        """Returns the accuracy, or `None` after an epoch without an evaluation.

        Args:
            logs: What the epoch gave, by name.
        """
        # Keras' own warns where there is none.
        return (logs or {}).get(MONITORED)


def stops(accuracies: Sequence[float], patience: int) -> bool:
    """Returns whether early stopping has ended a run with these accuracies.

    Args:
        accuracies: Those of all evaluations in training, in order.
        patience: Evaluations without a new best one that end it; 0 never does.

    >>> stops([0.2, 0.4, 0.3, 0.4], patience=2)
    True
    >>> stops([0.2, 0.4, 0.3, 0.5], patience=2)
    False
    """
    if not patience or not accuracies:
        return False
    return len(accuracies) - 1 - int(np.argmax(accuracies)) >= patience
