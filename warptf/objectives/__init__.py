"""What warp parameters minimise."""

from warptf.objectives.backprop_through_adaptation import BackpropThroughAdaptation
from warptf.objectives.lookahead import Lookahead
from warptf.objectives.objective import Objective
from warptf.objectives.stream_step import StreamStep
from warptf.objectives.task_gradients import TaskGradients
from warptf.objectives.warp_grad import WarpGrad

__all__ = [
    "BackpropThroughAdaptation",
    "Lookahead",
    "Objective",
    "StreamStep",
    "TaskGradients",
    "WarpGrad",
]
