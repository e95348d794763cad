"""Early stopping at the meta level, on figures that are measured now and then."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from .figures import FIGURES


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping on a figure of validation tasks, patience counted in evaluations.

    Args:
        patience: Evaluations without a new best figure after which training ends.
        name: The figure, a name in `FIGURES`.
        seen: Its values in evaluations before a run was continued.
    """

    def __init__(self, patience: int, name: str = "accuracy", seen: Sequence[float] = ()) -> None:
        mode = FIGURES[name].direction
        super().__init__(monitor=f"val_{name}", mode=mode, patience=patience)
        self._seen = list(seen)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes up where the run was left.

        Args:
            logs: Not used.
        """
        super().on_train_begin(logs)
        for epoch, value in enumerate(self._seen):
            self.on_epoch_end(epoch, {self.monitor: value})

    def get_monitor_value(self, logs: dict[str, Any] | None) -> float | None:
        """Returns the figure, or `None` after an epoch without an evaluation.

        Args:
            logs: What the epoch gave, by name.
        """
        # Keras' own warns where there is none.
        return (logs or {}).get(self.monitor)


def stops(values: Sequence[float], patience: int, name: str = "accuracy") -> bool:
    """Returns whether early stopping has ended a run with these figures.

    Args:
        values: Those of all evaluations in training, in order.
        patience: Evaluations without a new best one that end it; 0 never does.
        name: As for `EarlyStopping`.

    >>> stops([0.2, 0.4, 0.3, 0.4], patience=2)
    True
    >>> stops([0.2, 0.4, 0.3, 0.5], patience=2)
    False
    """
    if not patience or not values:
        return False
    best = np.argmax([FIGURES[name].signed(value) for value in values])
    return len(values) - 1 - int(best) >= patience
