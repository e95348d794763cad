"""Learners of the paper's experiments as plain Keras models, warp layers included."""

from warptf.models.few_shot_learner import few_shot_learner
from warptf.models.multi_shot_learner import multi_shot_learner
from warptf.models.warp_architectures import WARP_ARCHITECTURES

__all__ = ["WARP_ARCHITECTURES", "few_shot_learner", "multi_shot_learner"]
