"""Hyperband whose failures are loud."""

from typing import Any

import keras_tuner

from warptf.tuning.loud_trials import LoudTrials


class Hyperband(LoudTrials, keras_tuner.Hyperband):
    """`keras_tuner.Hyperband` as `LoudTrials` has it, with a limit to its trials.

    Args:
        *args: Those of KerasTuner's.
        max_trials: Trials at most, each round of each configuration being one; no limit if `None`.
        **kwargs: Those of KerasTuner's.
    """

    def __init__(self, *args: Any, max_trials: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.oracle.max_trials = max_trials
