"""Random search whose failures are loud."""

import keras_tuner

from warptf.tuning.loud_trials import LoudTrials


class RandomSearch(LoudTrials, keras_tuner.RandomSearch):
    """`keras_tuner.RandomSearch` as `LoudTrials` has it; its arguments are the same."""
