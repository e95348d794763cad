"""Tasks learned together on a GPU: meta-steps by size, form and compiler, beside the machine's CPU.

python -m benchmarks.gpu
"""

import contextlib
import dataclasses
import itertools
import os
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
from benchmarks.limited_worker import LimitedWorker
from benchmarks.report import publish, write_json
from warptf.vectorized import convolution_form

HEADER = (
    "device",
    "learner",
    "filters",
    "tasks",
    "objective",
    "way",
    "compiler",
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
Compiler = Literal["none", "xla", "command-buffers"]
# What XLA may hand to a GPU as one recorded sequence, loops among them.
COMMAND_BUFFERS = "FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,CONDITIONAL,WHILE"
LEAST_SECONDS = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times meta-steps of every size in every way, the most telling first, until time is up."""

    seconds: float = 440.0
    """Time for all of it; what does not begin within it is left out, and said to be."""
    row_seconds: float = 60.0
    """Time for each row, with its first call; one that takes longer is cut off, and said to be."""
    learners: tuple[Learner, ...] = ("multi-shot", "few-shot")
    """Which learners."""
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
    compilers: tuple[Compiler, ...] = ("none", "xla", "command-buffers")
    """Without XLA, with it, or with it and loops recorded as command buffers; XLA on GPUs only."""
    objectives: tuple[Order, ...] = ("exact", "none")
    """Modes of the warp objective; few-shot MAML has none."""
    repeats: int = 5
    """How often each meta-step is timed."""
    most_tasks: int = 640
    """How far the number of tasks is doubled to find where memory ends; 0 to leave this out."""
    json: Path | None = None
    """File to write the figures to; it is written again, whole, after each of them."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One meta-step to time."""

    device: str
    learner: Learner
    filters: int
    tasks: int
    objective: Order | None
    way: Way
    compiler: Compiler


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    figures: list[dict[str, Any]] = []
    memory_ends = False
    with _Runs(options) as runs:
        for case in cases(options):
            is_larger = case.tasks > max(options.tasks)
            if is_larger and memory_ends:
                continue
            figures.append(runs(case))
            memory_ends = is_larger and bool(figures[-1]["failed"])
            write_json(options.json, dataclasses.asdict(options), figures)
    publish("Tasks together", HEADER, [[row.get(name) for name in HEADER] for row in figures])
    return figures


class _Runs:
    """Makes rows of the table, each case in a process that is ended where it takes too long."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.end = time.monotonic() + options.seconds
        self.loops: dict[Case, float] = {}
        self.worker = LimitedWorker()

    def __call__(self, case: Case) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(HEADER)
        row |= dict(zip(HEADER, dataclasses.astuple(case), strict=False))
        row |= self._figures(case)
        key, took = dataclasses.replace(case, way="loop", compiler="none"), row[HEADER[7]]
        if case == key and took:
            self.loops[key] = took
        if took and key in self.loops:
            row[HEADER[9]] = self.loops[key] / took
        return row

    def _figures(self, case: Case) -> dict[str, Any]:
        """Returns figures, or why there are none: without one case the others are of use."""
        left = self.end - time.monotonic()
        if left < LEAST_SECONDS:
            return {"failed": "not begun: the time was up"}
        if self.worker.environment != environment(case.compiler):
            self.worker.end()
            self.worker = LimitedWorker(environment(case.compiler))
        try:
            limit = min(left, self.options.row_seconds)
            return self.worker(limit, figures_of, case, self.options)
        except (TimeoutError, RuntimeError) as error:
            return {"failed": str(error)}

    def __enter__(self) -> "_Runs":
        return self

    def __exit__(self, *error: object) -> None:
        self.worker.end()


def environment(compiler: Compiler) -> dict[str, str]:
    """Returns what the environment of a process says of a compiler, beside this one's.

    Args:
        compiler: what compiles a meta-step.
    """
    # On a CPU, kernels of oneDNN alone have gradients of grouped convolutions.
    variables = {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")}
    if compiler == "command-buffers":
        flag = f"--xla_gpu_enable_command_buffer={COMMAND_BUFFERS}"
        variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    return variables


def _device() -> str:
    # Physical ones: a logical one would have this process take the memory.
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def cases(options: Options) -> list[Case]:
    """Returns what to time, the most telling first.

    Args:
        options: the benchmark's options. Where there is a GPU, the CPU has the smallest case alone.
    """
    device = _device()
    ranked = [
        (rank, Case(device, "multi-shot", filters, tasks, objective, way, compiler))
        for objective, filters, tasks in itertools.product(
            options.objectives, options.filters, options.tasks
        )
        for compiler in options.compilers
        for way in options.ways
        if (rank := _rank(options, device, (filters, tasks, objective), way, compiler)) is not None
    ]
    few, fewest, most = options.filters[-1], options.tasks[-1], options.objectives[0]
    if device == "GPU":
        ranked.append((1, Case("CPU", "multi-shot", few, fewest, most, "loop", "none")))
    ranked += [
        (3, Case(device, "few-shot", few, tasks, None, way, "none"))
        for tasks in options.tasks
        for way in options.ways
    ]
    # Ever more tasks, to find where memory ends.
    tasks = 2 * max(options.tasks)
    while tasks <= options.most_tasks:
        sizes = (options.filters[0], tasks, most)
        ranked.append((4, Case(device, "multi-shot", *sizes, "groups", "none")))
        tasks *= 2
    ranked.sort(key=lambda pair: (pair[0], pair[1].compiler == "command-buffers"))
    return [case for _, case in ranked if case.learner in options.learners]


def _rank(
    options: Options, device: str, size: tuple[int, int, Order], way: Way, compiler: Compiler
) -> int | None:
    """Returns how early a multi-shot case has its turn, or `None` where it has none."""
    is_first = size == (options.filters[0], options.tasks[0], options.objectives[0])
    if compiler == "none":
        return 0 if is_first else 2
    # XLA and convolutions of many tasks take minutes to compile for a CPU.
    if device == "CPU":
        return None
    if is_first and way in ("loop", "groups"):
        return 1
    return 5 if compiler == "xla" else None


def figures_of(case: Case, options: Options) -> dict[str, Any]:
    """Returns figures, or what went wrong.

    Args:
        case: what to time.
        options: the benchmark's options.
    """
    try:
        return _measured(case, options)
    except (tf.errors.OpError, ValueError, MemoryError) as error:
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}


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
            model, "online", case.objective, options.inner_steps, together, case.compiler != "none"
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


if __name__ == "__main__":
    main(tyro.cli(Options))
