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
    apart = np.sqrt(sum(np.sum((v - e) ** 2) for v, e in both))
    return float(apart / np.sqrt(sum(np.sum(e**2) for _, e in both)))
