"""Grid search whose failures are loud."""

import keras_tuner

from warptf.tuning.loud_trials import LoudTrials


class GridSearch(LoudTrials, keras_tuner.GridSearch):
    """`keras_tuner.GridSearch` as `LoudTrials` has it; its arguments are the same."""
