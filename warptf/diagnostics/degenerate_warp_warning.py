"""The warning of a warp that loses directions."""

import warnings
from typing import Any

import numpy as np


class DegenerateWarpWarning(UserWarning):
    """A warp is close to singular: along some directions descent does not move."""


def warn_if_degenerate(condition: np.ndarray, limit: float) -> None:
    """Warns where a condition number exceeds a limit.

    Args:
        condition: condition numbers, of any shape.
        limit: the largest that passes.
    """
    worst: Any = np.max(condition)
    if not worst <= limit:
        share = np.mean(~(condition <= limit))
        warnings.warn(
            f"the warp is close to singular: the condition number of its metric reaches "
            f"{worst:.3g} (above {limit:.3g} at {share:.0%} of the points), so that descent hardly "
            f"moves along some directions. A residual warp, or a smaller outer rate, keeps it away "
            f"from that.",
            DegenerateWarpWarning,
            stacklevel=3,
        )
