"""Peak memory and time per step of the online algorithm over the number of inner steps.

python -m benchmarks.memory
"""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.timing import Timing
from benchmarks.worker import Worker

HEADER = (
    "inner steps K",
    "before, MiB",
    "peak, MiB",
    "peak - before, MiB",
    "to smallest K",
    "ms per task and step, median",
    "minimum",
    "median to smallest K",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Measures the online algorithm in a fresh process for each number of inner steps.

    The support and query sets serve every step, so that the data do not grow with the steps. The
    memory is measured from the built learner with its data to the end of its first meta-step,
    compiling included.
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
    memory, seconds = {}, {steps: list[float]() for steps in settings}
    with contextlib.ExitStack() as stack:
        workers = {}
        # One after another, so that the memory of one does not depend on what others leave free.
        for steps, setting in settings.items():
            workers[steps] = stack.enter_context(Worker(prepare, setting))
            memory[steps] = workers[steps]()["memory"]
        for _ in range(options.rounds):
            for steps, worker in workers.items():
                seconds[steps].append(worker()["seconds"])
    figures = figures_of(memory, seconds, options.tasks)
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
    before = _status("VmRSS")

    def measured() -> dict[str, Any]:
        started = time.perf_counter()
        step()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "memory": (before, _status("VmHWM"))}

    return measured


def _status(field: str) -> float:
    """Returns a field of this process' status in MiB; the peak is that since the process began.

    Unlike `ru_maxrss`, it does not count what the parent held when it started the process.
    """
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    if found is None:
        raise OSError(f"/proc/self/status has no field {field}: memory is measured on Linux only.")
    return int(found[1]) / 1024


def figures_of(
    memory: dict[int, tuple[float, float]], seconds: dict[int, list[float]], tasks: int
) -> list[dict[str, Any]]:
    """Returns a row for each number of steps."""
    grown = {steps: peak - before for steps, (before, peak) in memory.items()}
    timings = {steps: Timing.of(s, tasks * steps) for steps, s in seconds.items() if s}
    smallest = min(memory)
    rows = []
    for steps, (before, peak) in memory.items():
        row: list[Any] = [steps, before, peak, grown[steps], grown[steps] / grown[smallest]]
        if timings:
            timing, first = timings[steps], timings[smallest]
            row += [1e3 * timing.median, 1e3 * timing.minimum, timing.median / first.median]
        else:
            row += [None] * 3
        rows.append(dict(zip(HEADER, row, strict=True)))
    return rows


def _rows(figures: list[dict[str, Any]]) -> list[list[Any]]:
    return [list(figure.values()) for figure in figures]


if __name__ == "__main__":
    main(tyro.cli(Options))
