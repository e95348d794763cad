"""What warp parameters minimise."""

from warptf.objectives.backprop_through_adaptation import BackpropThroughAdaptation
from warptf.objectives.objective import Lookahead, Objective
from warptf.objectives.warp_grad import WarpGrad

__all__ = ["BackpropThroughAdaptation", "Lookahead", "Objective", "WarpGrad"]
