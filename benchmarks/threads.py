"""Tasks side by side on one thread each against several threads within an operation.

python -m benchmarks.threads
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
import tyro

from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.timing import Timing, timed
from benchmarks.worker import Worker

HEADER = ("threads within an operation", "operations at a time", "step", "ms, median", "minimum")
CASES: dict[str, tuple[problem.Algorithm, problem.SecondOrder | None]] = {
    "inner": ("online", None),
    "online, inner + exact": ("online", "exact"),
    "offline, inner + exact": ("offline", "exact"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times meta-steps per task and inner step, in a process for each setting of the threads."""

    settings: tuple[tuple[int, int], ...] = ((0, 0), (1, 2), (2, 1), (1, 1))
    """Threads within an operation, and operations at a time; 0 is TensorFlow's own choice."""
    cases: tuple[str, ...] = tuple(CASES)
    """What to time."""
    filters: int = 64
    """Filters of each convolution."""
    tasks: int = 4
    """Tasks of a meta-batch."""
    inner_steps: int = 10
    """Inner steps of a task."""
    batch_size: int = 20
    """Images of a mini-batch."""
    rounds: int = 5
    """How often each is timed, in turns."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    seconds = _measure(options)
    count = options.tasks * options.inner_steps
    figures = []
    for (within, beside), by_case in seconds.items():
        for case, values in by_case.items():
            timing = Timing.of(values, count)
            row = (within, beside, case, 1e3 * timing.median, 1e3 * timing.minimum)
            figures.append(dict(zip(HEADER, row, strict=True)))
    rows = [[v or "default" for v in figure.values()] for figure in figures]
    publish(f"Threads ({os.cpu_count()} cores)", HEADER, rows)
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _measure(options: Options) -> dict[tuple[int, int], dict[str, list[float]]]:
    """Returns seconds by setting and case, one value for each round."""
    seconds = {s: {case: list[float]() for case in options.cases} for s in options.settings}
    with contextlib.ExitStack() as stack:
        workers = {}
        for setting in options.settings:
            workers[setting] = stack.enter_context(Worker(prepare, options, setting))
            # Compiles.
            workers[setting]()
        for _ in range(options.rounds):
            for setting, worker in workers.items():
                for case, value in worker().items():
                    seconds[setting][case].append(value)
    return seconds


def prepare(options: Options, setting: tuple[int, int]) -> Callable[[], dict[str, float]]:
    """Sets the threads and returns what times each case once."""
    tf.config.threading.set_intra_op_parallelism_threads(setting[0])
    tf.config.threading.set_inter_op_parallelism_threads(setting[1])
    axes = (options.tasks, options.inner_steps, options.batch_size)
    steps = {}
    for case in options.cases:
        algorithm, second_order = CASES[case]
        model = problem.learner(options.filters)
        meta = problem.meta_learner(model, algorithm, second_order, options.inner_steps)
        task = problem.random_task(algorithm, *axes)
        steps[case] = problem.meta_step(meta, problem.in_memory(task))

    return lambda: {case: timed(step).wall for case, step in steps.items()}


if __name__ == "__main__":
    main(tyro.cli(Options))
