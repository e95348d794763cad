"""Warped Gradient Descent for TensorFlow and Keras."""

# First, before anything imports Keras.
import warptf.keras_backend  # noqa: F401
from warptf import (
    diagnostics,
    experience,
    initializations,
    inner_optimizers,
    layers,
    losses,
    metrics,
    models,
    objectives,
    reinforcement,
    tasks,
)
from warptf.architecture import DesignatedModel, designate, interleave
from warptf.layers.task_layer import TaskLayer
from warptf.layers.warp_layer import WarpLayer
from warptf.litert import export_litert
from warptf.meta_learners import (
    ContinualMetaLearner,
    MetaLearner,
    MultiHeadFinetuning,
    OfflineMetaLearner,
    OnlineMetaLearner,
    WarpLeap,
    WarpMAML,
    with_model,
)
from warptf.partition import partition

__all__ = [
    "ContinualMetaLearner",
    "DesignatedModel",
    "MetaLearner",
    "MultiHeadFinetuning",
    "OfflineMetaLearner",
    "OnlineMetaLearner",
    "TaskLayer",
    "WarpLayer",
    "WarpLeap",
    "WarpMAML",
    "designate",
    "diagnostics",
    "experience",
    "export_litert",
    "initializations",
    "inner_optimizers",
    "interleave",
    "layers",
    "losses",
    "metrics",
    "models",
    "objectives",
    "partition",
    "reinforcement",
    "tasks",
    "with_model",
]
