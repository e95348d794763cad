"""Timing that a drifting clock and a busy neighbour touch least."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self


class Seconds(NamedTuple):
    """How long a call took.

    Attributes:
        wall: by the clock: what counts, on a machine that does nothing else.
        cpu: of all threads of this process together, which other processes hardly touch.
    """

    wall: float
    cpu: float


class Timing(NamedTuple):
    """Seconds of one thing over all rounds.

    Attributes:
        median: the figure to compare.
        minimum: what it comes to when nothing else runs.
    """

    median: float
    minimum: float

    @classmethod
    def of(cls, seconds: Sequence[float], count: int = 1) -> Self:
        """Sums up the seconds of rounds that each did something `count` times."""
        return cls(statistics.median(seconds) / count, min(seconds) / count)


def timed(function: Callable[[], Any]) -> Seconds:
    """Returns how long a function takes.

    >>> timed(lambda: sum(range(1000))).wall > 0
    True
    """
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(
    functions: Mapping[Any, Callable[[], Any]], rounds: int
) -> dict[Any, list[Seconds]]:
    """Times functions in turns: each once a round, so that all meet the same conditions.

    Args:
        functions: what to call, by name. Each is called once before, to be compiled.
        rounds: how often each is timed, at least 1.

    Returns:
        Times by name, one for each round.

    Raises:
        ValueError: `rounds` is not positive.

    >>> times = interleaved({"nothing": lambda: None, "sum": lambda: sum(range(9))}, rounds=3)
    >>> {name: len(values) for name, values in times.items()}
    {'nothing': 3, 'sum': 3}
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}.")
    for function in functions.values():
        function()
    times: dict[Any, list[Seconds]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(timed(function))
    return times
