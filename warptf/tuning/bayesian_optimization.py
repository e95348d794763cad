"""Bayesian search whose failures are loud."""

import keras_tuner

from warptf.tuning.loud_trials import LoudTrials


class BayesianOptimization(LoudTrials, keras_tuner.BayesianOptimization):
    """`keras_tuner.BayesianOptimization` as `LoudTrials` has it; its arguments are the same."""
