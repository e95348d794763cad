"""What warp parameters minimise."""

from warptf.objectives.objective import Lookahead, Objective
from warptf.objectives.warp_grad import WarpGrad

__all__ = ["Lookahead", "Objective", "WarpGrad"]
