"""What it costs to look at the numbers of every meta-batch, beside the meta-step on them.

python -m benchmarks.checks
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tyro

from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.timing import Timing, interleaved
from warptf.meta_learners.checked_data import checked
from warptf.meta_learners.task_axes import as_task

HEADER = (
    "algorithm",
    "CPU ms of a meta-step, median",
    "CPU ms of the checks, median",
    "minimum",
    "checks, % of a meta-step",
)
# So many meta-batches are read at a time, since one is read too fast to be timed.
_READ = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(problem.Sizes):
    """Times meta-steps, and the reading of meta-batches with checks and without, in turns."""

    rounds: int = 7
    """How often each is timed."""
    algorithms: tuple[problem.Algorithm, ...] = ("offline", "online")
    """Algorithms to time, with the approximate objective: the shortest meta-steps."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    figures = [_figures(options, algorithm) for algorithm in options.algorithms]
    publish("Checks of every meta-batch", HEADER, [list(figure.values()) for figure in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _figures(options: Options, algorithm: problem.Algorithm) -> dict[str, Any]:
    # Copied for each element, as meta-batches of a pipeline are.
    data = tf.data.Dataset.from_tensors(problem.random_task(algorithm, *options.axes)).repeat()
    model = problem.learner(options.filters)
    meta = problem.meta_learner(model, algorithm, "none", options.inner_steps)
    # As `fit` does with its data.
    looked_at = checked(data, lambda element: meta._problem_in(as_task(element), "training"))
    functions = {
        "step": problem.meta_step(meta, data),
        "plain": _reading(data),
        "checked": _reading(looked_at),
    }
    times = interleaved(functions, options.rounds)
    step = Timing.of([seconds.cpu for seconds in times["step"]])
    pairs = zip(times["checked"], times["plain"], strict=True)
    checks = Timing.of([looked.cpu - plain.cpu for looked, plain in pairs], _READ)
    share = 100 * checks.median / step.median
    row = (algorithm, 1e3 * step.median, 1e3 * checks.median, 1e3 * checks.minimum, share)
    return dict(zip(HEADER, row, strict=True))


def _reading(data: tf.data.Dataset) -> Callable[[], None]:
    """Returns a function that reads meta-batches."""
    iterator: Iterator[Any] = iter(data)

    def read() -> None:
        for _ in range(_READ):
            next(iterator)

    return read


if __name__ == "__main__":
    main(tyro.cli(Options))
