"""Peak memory and time per step of the online algorithm over the number of inner steps.

python -m benchmarks.memory
"""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from benchmarks import problem, process_memory
from benchmarks.report import publish, write_json
from benchmarks.timing import Seconds, Timing, timed
from benchmarks.worker import Worker

HEADER = (
    "inner steps K",
    "before, MiB",
    "peak, MiB",
    "peak - before, MiB",
    "to smallest K",
    "ms per task and step, median",
    "minimum",
    "CPU ms, median",
    "ms to smallest K",
    "CPU ms to smallest K",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Measures the online algorithm in a fresh process for each number of inner steps.

    The support and query sets serve every step, so that the data do not grow with the steps. The
    memory is that which a process gains after the learner is built and has its data, compiling
    included. How much is in use at once depends on how operations happen to be scheduled, and the
    peak is a maximum over that: so each process runs the same number of inner steps in all, the
    fewer steps a meta-step has the more meta-steps. A round of the timing does so, too.
    """

    inner_steps: tuple[int, ...] = (20, 200, 1000)
    """Numbers of inner steps."""
    filters: int = 64
    """Filters of each convolution."""
    tasks: int = 4
    """Tasks of a meta-batch."""
    batch_size: int = 20
    """Images of a mini-batch."""
    second_order: problem.SecondOrder = "exact"
    """Mode of the warp objective."""
    rounds: int = 3
    """How often each number of steps is timed, in turns; 0 to measure memory alone."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    settings = {steps: _Setting(options, steps) for steps in options.inner_steps}
    memory, times = {}, {steps: list[Seconds]() for steps in settings}
    repeats = process_memory.meta_steps_of(settings)
    with contextlib.ExitStack() as stack:
        workers = {}
        # One after another, so that the memory of one does not depend on what others leave free.
        for steps, setting in settings.items():
            workers[steps] = stack.enter_context(Worker(prepare, setting))
            for _ in range(repeats[steps]):
                memory[steps] = workers[steps]()["memory"]
        for _ in range(options.rounds):
            for steps, worker in workers.items():
                several = [worker()["times"] for _ in range(repeats[steps])]
                times[steps].append(_mean(several))
    figures = figures_of(memory, times, options.tasks)
    publish("Online algorithm over the number of inner steps", HEADER, _rows(figures))
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


@dataclasses.dataclass(frozen=True)
class _Setting:
    options: Options
    inner_steps: int


def prepare(setting: _Setting) -> Callable[[], dict[str, Any]]:
    """Builds a meta-learner and returns what runs one meta-step and measures it."""
    options = setting.options
    meta = problem.meta_learner(
        problem.learner(options.filters), "online", options.second_order, setting.inner_steps
    )
    task = problem.random_task("online", options.tasks, options.batch_size)
    step = problem.meta_step(meta, problem.in_memory(task))
    before = process_memory.resident()

    def measured() -> dict[str, Any]:
        return {"times": timed(step), "memory": (before, process_memory.peak())}

    return measured


def figures_of(
    memory: dict[int, tuple[float, float]],
    times: dict[int, list[Seconds]],
    tasks: int,
) -> list[dict[str, Any]]:
    """Returns a row for each number of steps.

    Args:
        memory: MiB before and at the peak.
        times: wall and CPU seconds of meta-steps, one pair for each round.
        tasks: tasks of a meta-batch.
    """
    grown = {steps: peak - before for steps, (before, peak) in memory.items()}
    timings = {
        steps: [Timing.of(kind, tasks * steps) for kind in zip(*pairs, strict=True)]
        for steps, pairs in times.items()
    }
    smallest = min(memory)
    rows = []
    for steps, (before, peak) in memory.items():
        row: list[Any] = [steps, before, peak, grown[steps], grown[steps] / grown[smallest]]
        row += _times(*timings[steps], *timings[smallest]) if timings[steps] else [None] * 5
        rows.append(dict(zip(HEADER, row, strict=True)))
    return rows


def _mean(several: list[Seconds]) -> Seconds:
    return Seconds(*(sum(kind) / len(several) for kind in zip(*several, strict=True)))


def _times(wall: Timing, cpu: Timing, first_wall: Timing, first_cpu: Timing) -> list[float]:
    milliseconds = [1e3 * wall.median, 1e3 * wall.minimum, 1e3 * cpu.median]
    return [*milliseconds, wall.median / first_wall.median, cpu.median / first_cpu.median]


def _rows(figures: list[dict[str, Any]]) -> list[list[Any]]:
    return [list(figure.values()) for figure in figures]


if __name__ == "__main__":
    main(tyro.cli(Options))
