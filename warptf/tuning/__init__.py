"""Hyper-parameter search with KerasTuner; imported on its own, for KerasTuner takes its time."""

from warptf.tuning.bayesian_optimization import BayesianOptimization
from warptf.tuning.choices import Choices
from warptf.tuning.grid_search import GridSearch
from warptf.tuning.hyperband import Hyperband
from warptf.tuning.loud_trials import LoudTrials
from warptf.tuning.paper_space import PAPER_SPACE
from warptf.tuning.random_search import RandomSearch
from warptf.tuning.range import Range
from warptf.tuning.search_space import SearchSpace

__all__ = [
    "PAPER_SPACE",
    "BayesianOptimization",
    "Choices",
    "GridSearch",
    "Hyperband",
    "LoudTrials",
    "RandomSearch",
    "Range",
    "SearchSpace",
]
