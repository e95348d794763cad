"""A hyper-parameter that takes a number between two others."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; an integer if both are.

    Args:
        low: The least value.
        high: The greatest value.
        log: Whether values are drawn evenly over orders of magnitude, as suits rates.

    Raises:
        ValueError: If the bounds are not finite and in order, or `log` starts at 0 or below.

    >>> import keras_tuner
    >>> Range(0.001, 1.0, log=True).declare(keras_tuner.HyperParameters(), "inner_rate")
    0.001
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Checks the bounds."""
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(
                f"low and high must be finite and in this order, got {self.low} and {self.high}."
            )
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 for a logarithmic range, got {self.low}.")

    @property
    def examples(self) -> tuple[float, float]:
        """Values that show whether others are permitted: the least and the greatest."""
        return (self.low, self.high)

    def declare(self, hp: Any, name: str) -> float:
        """Adds the hyper-parameter and returns its value.

        Args:
            hp: The `keras_tuner.HyperParameters` of a trial.
            name: What the hyper-parameter is called.
        """
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        add = hp.Int if whole else hp.Float
        sampling = "log" if self.log else "linear"
        return add(name, min_value=self.low, max_value=self.high, sampling=sampling)

    def decode(self, value: float) -> float:
        """Returns the number that KerasTuner keeps, which is itself.

        Args:
            value: A value of the hyper-parameter in a trial.
        """
        return value
