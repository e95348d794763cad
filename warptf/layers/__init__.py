"""Warp layers, the task layers nested in them, and layers with fast exact second derivatives."""

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.class_mean_head import ClassMeanHead
from warptf.layers.context_film import ContextFiLM
from warptf.layers.displacement import Displacement
from warptf.layers.film_task_embedding import FiLMTaskEmbedding
from warptf.layers.max_pooling2d import MaxPooling2D
from warptf.layers.support_initialized_layer import SupportInitializedLayer
from warptf.layers.task_layer import TaskLayer
from warptf.layers.warp import Warp
from warptf.layers.warp_conv2d import WarpConv2D
from warptf.layers.warp_dense import WarpDense
from warptf.layers.warp_film import WarpFiLM
from warptf.layers.warp_layer import WarpLayer
from warptf.layers.warp_lstm_cell import WarpLSTMCell
from warptf.layers.warp_residual_conv2d import WarpResidualConv2D
from warptf.layers.warp_residual_dense import WarpResidualDense
from warptf.layers.warp_scale import WarpScale
from warptf.layers.warp_temperature import WarpTemperature

__all__ = [
    "BatchNormalization",
    "ClassMeanHead",
    "ContextFiLM",
    "Displacement",
    "FiLMTaskEmbedding",
    "MaxPooling2D",
    "SupportInitializedLayer",
    "TaskLayer",
    "Warp",
    "WarpConv2D",
    "WarpDense",
    "WarpFiLM",
    "WarpLSTMCell",
    "WarpLayer",
    "WarpResidualConv2D",
    "WarpResidualDense",
    "WarpScale",
    "WarpTemperature",
]
