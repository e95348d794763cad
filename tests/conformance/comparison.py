"""How far two lists of arrays are apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def relative_difference(values: Sequence[Any], expected: Sequence[Any]) -> float:
    """The norm of the difference, all arrays taken together, over the norm of what is expected."""
    both = [
        (np.asarray(v, "float64"), np.asarray(e, "float64"))
        for v, e in zip(values, expected, strict=True)
    ]
    apart, size = (
        np.sqrt(sum(np.sum(part**2) for part in parts))
        for parts in ([v - e for v, e in both], [e for _, e in both])
    )
    # Where nothing is expected, nothing may be.
    return float(apart / size) if size else float(apart)
