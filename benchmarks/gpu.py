"""Tasks learned together on a GPU: meta-steps by size, form and compiler, beside the machine's CPU.

python -m benchmarks.gpu
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf
import tyro

from benchmarks import problem
from benchmarks.device_share import device_share
from benchmarks.report import publish, write_json
from warptf.vectorized import convolution_form

HEADER = (
    "device",
    "learner",
    "filters",
    "tasks",
    "objective",
    "way",
    "XLA",
    "ms, median",
    "minimum",
    "× the loop",
    "busy, %",
    "first call, s",
    "failed",
)
Way = Literal["loop", "groups", "mixed", "patches"]
Learner = Literal["multi-shot", "few-shot"]
Order = Literal["exact", "none"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times meta-steps of every size in every way, the most telling first, until time is up."""

    seconds: float = 440.0
    """Time for all of it; what does not begin within it is left out, and said to be."""
    filters: tuple[int, ...] = (64, 32)
    """Filters of each convolution."""
    tasks: tuple[int, ...] = (20, 5)
    """Tasks of a meta-batch."""
    inner_steps: int = 4
    """Inner steps of a task."""
    batch_size: int = 20
    """Images of a mini-batch."""
    ways: tuple[Way, ...] = ("loop", "groups", "mixed", "patches")
    """Tasks one after the other, or together with convolutions in each form."""
    compilers: tuple[bool, ...] = (False, True)
    """Without XLA and with it."""
    objectives: tuple[Order, ...] = ("exact", "none")
    """Modes of the warp objective; few-shot MAML has none."""
    repeats: int = 5
    """How often each meta-step is timed."""
    most_tasks: int = 640
    """How far the number of tasks is doubled to find where memory ends; 0 to leave this out."""
    json: Path | None = None
    """File to write the figures to; it is written again after each of them."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One meta-step to time."""

    device: str
    learner: Learner
    filters: int
    tasks: int
    objective: Order | None
    way: Way
    xla: bool


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    end = time.monotonic() + options.seconds
    figures: list[dict[str, Any]] = []
    loops: dict[Case, float] = {}
    for case in cases(options):
        row = _row(case)
        if time.monotonic() < end:
            row |= _tried(case, options)
        else:
            row["failed"] = "not begun: the time was up"
        key, took = dataclasses.replace(case, way="loop", xla=False), row[HEADER[7]]
        if case == key and took:
            loops[key] = took
        if took and key in loops:
            row[HEADER[9]] = loops[key] / took
        figures.append(row)
        write_json(options.json, dataclasses.asdict(options), figures)
    if options.most_tasks:
        figures += _largest(options, end)
    publish("Tasks together", HEADER, [[row.get(name) for name in HEADER] for row in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _row(case: Case) -> dict[str, Any]:
    """Returns a row of the table with what is timed, and no figures yet."""
    row: dict[str, Any] = dict.fromkeys(HEADER)
    return row | dict(zip(HEADER, dataclasses.astuple(case), strict=False))


def cases(options: Options) -> list[Case]:
    """Returns what to time, the most telling first; the CPU has the smallest case alone."""
    gpus = tf.config.list_logical_devices("GPU")
    device = "GPU" if gpus else "CPU"
    found = [
        Case(device, "multi-shot", filters, tasks, objective, way, xla)
        for xla in options.compilers
        for objective in options.objectives
        for filters in options.filters
        for tasks in options.tasks
        for way in options.ways
        # XLA and convolutions of many tasks take minutes to compile for a CPU.
        if gpus or not xla
    ]
    few_shot = [
        Case(device, "few-shot", options.filters[-1], tasks, None, way, False)
        for tasks in options.tasks
        for way in options.ways
    ]
    plain = len([case for case in found if not case.xla])
    found[plain:plain] = few_shot
    if gpus:
        smallest = (options.filters[-1], options.tasks[-1], options.objectives[0])
        found.insert(len(options.ways), Case("CPU", "multi-shot", *smallest, "loop", False))
    return found


def _measured(case: Case, options: Options) -> dict[str, Any]:
    with _on(case):
        step = meta_step(case, options)
        begin = time.perf_counter()
        step()
        first = time.perf_counter() - begin
        times = [_timed(step) for _ in range(options.repeats)]
        share = device_share(step) if case.device == "GPU" else None
    return {
        HEADER[7]: 1e3 * statistics.median(times),
        HEADER[8]: 1e3 * min(times),
        HEADER[10]: None if share is None else 100 * share,
        HEADER[11]: first,
    }


def meta_step(case: Case, options: Options) -> Callable[[], Any]:
    """Returns a function that takes a meta-step and waits for it.

    Args:
        case: what to take.
        options: the benchmark's options.
    """
    keras.backend.clear_session()
    together = case.way != "loop"
    if case.learner == "multi-shot":
        model = problem.learner(case.filters)
        meta = problem.meta_learner(
            model, "online", case.objective, options.inner_steps, together, case.xla
        )
    else:
        meta = problem.maml(case.filters, options.inner_steps, together)
    axes = (case.tasks, options.inner_steps, options.batch_size)
    data = tf.data.Dataset.from_tensors(problem.random_task("online", *axes)).repeat()
    step = problem.meta_step(meta, data)

    def run() -> None:
        for value in tf.nest.flatten(step()):
            value.numpy()

    return run


def _timed(step: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


@contextlib.contextmanager
def _on(case: Case) -> Iterator[None]:
    """Traces on a device and with a form of convolutions."""
    form = "groups" if case.way == "loop" else case.way
    with tf.device(f"/{case.device}:0"), convolution_form(form):
        yield


def _tried(case: Case, options: Options) -> dict[str, Any]:
    """Returns figures, or why there are none: without one case the others are of use."""
    try:
        return _measured(case, options)
    except (tf.errors.OpError, ValueError, MemoryError) as error:
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}


def _largest(options: Options, end: float) -> list[dict[str, Any]]:
    """Doubles the number of tasks that are learned together until memory ends."""
    device = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    tasks = 2 * max(options.tasks)
    found: list[dict[str, Any]] = []
    while tasks <= options.most_tasks and time.monotonic() < end:
        sizes = (options.filters[0], tasks, options.objectives[0])
        case = Case(device, "multi-shot", *sizes, "groups", False)
        row = _row(case) | _tried(case, options)
        found.append(row)
        if row["failed"]:
            break
        tasks *= 2
    return found


if __name__ == "__main__":
    main(tyro.cli(Options))
