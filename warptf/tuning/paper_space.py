"""What is worth searching in the paper's learners of images."""

from warptf.models import WARP_ARCHITECTURES
from warptf.tuning.choices import Choices
from warptf.tuning.range import Range
from warptf.tuning.search_space import SearchSpace

PAPER_SPACE = SearchSpace(
    {
        "inner_rate": Range(1e-3, 1.0, log=True),
        "meta_rate": Range(1e-4, 1.0, log=True),
        "initialization_rate": Range(1e-4, 1.0, log=True),
        "inner_steps": Range(1, 100, log=True),
        "filters": Choices((16, 32, 64, 128)),
        "warp": Choices(tuple(name for name in WARP_ARCHITECTURES if name != "none")),
        "tasks": Choices((1, 2, 5, 10, 20)),
    }
)
"""The dimensions of Warped Gradient Descent: rate and number of inner steps, rates of the outer
steps on the warp layers and on the initialization, filters, warp architecture (table 3), tasks of a
meta-batch. The values surround the published ones (rates 0.1, 100 steps, 64 filters, 20 tasks).

>>> import keras_tuner
>>> PAPER_SPACE.only("filters", "warp")(keras_tuner.HyperParameters())
{'filters': 16, 'warp': 'scale'}
"""
