"""Learners of the paper's experiments as plain Keras models, warp layers included."""

from warptf.models.backbone_learner import backbone_learner, backbone_parts, join_backbone
from warptf.models.cavia_learner import cavia_learner
from warptf.models.class_mean_learner import class_mean_learner
from warptf.models.few_shot_learner import few_shot_learner
from warptf.models.multi_shot_learner import multi_shot_learner
from warptf.models.resnet12_learner import resnet12_learner
from warptf.models.sine_learner import sine_learner
from warptf.models.six_block_learner import six_block_learner
from warptf.models.surface_learner import surface_learner
from warptf.models.t_net_learner import t_net_learner
from warptf.models.warp_architectures import WARP_ARCHITECTURES
from warptf.models.with_ways import with_ways

__all__ = [
    "WARP_ARCHITECTURES",
    "backbone_learner",
    "backbone_parts",
    "cavia_learner",
    "class_mean_learner",
    "few_shot_learner",
    "join_backbone",
    "multi_shot_learner",
    "resnet12_learner",
    "sine_learner",
    "six_block_learner",
    "surface_learner",
    "t_net_learner",
    "with_ways",
]
