"""Kernels and first call of a meta-step, tasks learned one after the other and together.

python -m benchmarks.kernels
"""

import collections
import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tensorflow as tf
import tyro

from benchmarks import problem
from benchmarks.graph_kernels import kernels_of
from benchmarks.limited_worker import LimitedWorker
from benchmarks.report import publish, write_json

HEADER = (
    "algorithm",
    "objective",
    "tasks",
    "learned",
    "kernels per inner step",
    "times fewer",
    "first call, CPU s",
    "× the loop's",
    "most of them",
)
Order = Literal["exact", "none"]
# What takes longer has failed.
LIMIT_SECONDS = 600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Counts the kernels of meta-steps in the graphs that TensorFlow runs, and times first calls.

    A first call is tracing, optimisation and one meta-step: processor time of a fresh process.
    """

    algorithms: tuple[problem.Algorithm, ...] = ("online", "offline")
    """Which of the paper's algorithms."""
    objectives: tuple[Order, ...] = ("exact", "none")
    """Modes of the warp objective."""
    tasks: tuple[int, ...] = (5, 20)
    """Tasks of a meta-batch."""
    inner_steps: int = 10
    """Inner steps of a task: what a meta-step does once counts as a tenth for each."""
    filters: int = 8
    """Filters of each convolution, on which the number of kernels does not depend."""
    batch_size: int = 4
    """Images of a mini-batch, likewise."""
    rounds: int = 3
    """How often each first call is timed; the least counts."""
    json: Path | None = None
    """File to write the figures to; it is written again, whole, after each pair of them."""


class Case(NamedTuple):
    """One meta-step."""

    algorithm: problem.Algorithm
    order: Order
    tasks: int
    together: bool


def main(options: Options) -> list[dict[str, Any]]:
    """Counts, prints the table and returns the figures."""
    figures: list[dict[str, Any]] = []
    cases = itertools.product(options.algorithms, options.objectives, options.tasks)
    for algorithm, order, tasks in cases:
        pair = [Case(algorithm, order, tasks, together) for together in (False, True)]
        # In turns, so that both meet the same conditions.
        rounds = [[_fresh(measured, options, case) for case in pair] for _ in range(options.rounds)]
        seconds = [min(took for _, took in of_case) for of_case in zip(*rounds, strict=True)]
        loop, together = (kernels for kernels, _ in rounds[0])
        figures += [
            _figure(options, pair[0], loop, seconds[0]),
            _figure(options, pair[1], together, seconds[1], loop, seconds[0]),
        ]
        write_json(options.json, dataclasses.asdict(options), figures)
    publish("Kernels of meta-steps", HEADER, [list(row.values()) for row in figures])
    return figures


def _fresh(function: Callable[[Options, Case], Any], options: Options, case: Case) -> Any:
    """Returns what a function returns in a process of its own."""
    with LimitedWorker() as worker:
        return worker(LIMIT_SECONDS, function, options, case)


def measured(options: Options, case: Case) -> tuple[collections.Counter[str], float]:
    """Returns how often a meta-step runs each type of kernel, and the first call's processor time.

    Args:
        options: the benchmark's options.
        case: which meta-step.
    """
    step, seconds = meta_step(options, case), list[float]()

    def first_call() -> None:
        before = time.process_time()
        for value in tf.nest.flatten(step()):
            value.numpy()
        seconds.append(time.process_time() - before)

    return kernels_of(first_call), seconds[0]


def meta_step(options: Options, case: Case) -> Callable[[], Any]:
    """Returns a function that takes a meta-step and has not been called.

    Args:
        options: the benchmark's options.
        case: which meta-step.
    """
    model = problem.learner(options.filters)
    inner_steps = options.inner_steps
    meta = problem.meta_learner(model, case.algorithm, case.order, inner_steps, case.together)
    axes = (case.tasks, inner_steps, options.batch_size)
    data = tf.data.Dataset.from_tensors(problem.random_task(case.algorithm, *axes)).repeat()
    return problem.meta_step(meta, data)


def _figure(
    options: Options,
    case: Case,
    kernels: collections.Counter[str],
    seconds: float,
    of_loop: collections.Counter[str] | None = None,
    seconds_of_loop: float | None = None,
) -> dict[str, Any]:
    total = sum(kernels.values())
    most = ", ".join(f"{kind} {n // options.inner_steps}" for kind, n in kernels.most_common(6))
    row = (
        case.algorithm,
        case.order,
        case.tasks,
        "together" if case.together else "in turns",
        total / options.inner_steps,
        sum(of_loop.values()) / total if of_loop else None,
        seconds,
        seconds / seconds_of_loop if seconds_of_loop else None,
        most,
    )
    return dict(zip(HEADER, row, strict=True))


if __name__ == "__main__":
    main(tyro.cli(Options))
