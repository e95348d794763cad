"""Keras models that meta-learn: Algorithms 1, 2 and 3, and what is built on them."""

from warptf.meta_learners.continual_meta_learner import ContinualMetaLearner
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.meta_learners.multi_head_finetuning import MultiHeadFinetuning
from warptf.meta_learners.offline_meta_learner import OfflineMetaLearner
from warptf.meta_learners.online_meta_learner import OnlineMetaLearner
from warptf.meta_learners.warp_leap import WarpLeap
from warptf.meta_learners.warp_maml import WarpMAML
from warptf.meta_learners.with_model import with_model

__all__ = [
    "ContinualMetaLearner",
    "MetaLearner",
    "MultiHeadFinetuning",
    "OfflineMetaLearner",
    "OnlineMetaLearner",
    "WarpLeap",
    "WarpMAML",
    "with_model",
]
