"""Timing that a drifting clock and a busy neighbour touch least."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Timing(NamedTuple):
    """Seconds of one thing over all rounds.

    Attributes:
        median: the figure to compare.
        minimum: what it comes to when nothing else runs.
    """

    median: float
    minimum: float

    @classmethod
    def of(cls, seconds: Sequence[float], count: int = 1) -> "Timing":
        """Sums up the seconds of rounds that each did something `count` times."""
        return cls(statistics.median(seconds) / count, min(seconds) / count)


def interleaved(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Times functions in turns: each once a round, so that all meet the same conditions.

    Args:
        functions: what to call, by name. Each is called once before, to be compiled.
        rounds: how often each is timed, at least 1.

    Returns:
        Seconds by name, one for each round.

    Raises:
        ValueError: `rounds` is not positive.

    >>> seconds = interleaved({"nothing": lambda: None, "sum": lambda: sum(range(9))}, rounds=3)
    >>> {name: len(values) for name, values in seconds.items()}
    {'nothing': 3, 'sum': 3}
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}.")
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - started)
    return seconds
