"""Kernels of a meta-step, tasks learned one after the other and together.

python -m benchmarks.kernels
"""

import dataclasses
import itertools
import time
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf
import tyro

from benchmarks import problem
from benchmarks.graph_kernels import kernels_of
from benchmarks.report import publish, write_json

HEADER = (
    "algorithm",
    "objective",
    "tasks",
    "learned",
    "kernels per inner step",
    "times fewer",
    "first call, s",
    "× the loop's",
    "most of them",
)
Order = Literal["exact", "none"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Counts the kernels of meta-steps in the graphs that TensorFlow runs."""

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
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Counts, prints the table and returns the figures."""
    figures: list[dict[str, Any]] = []
    cases = itertools.product(options.algorithms, options.objectives, options.tasks)
    for algorithm, order, tasks in cases:
        loop = _figure(options, algorithm, order, tasks, together=False)
        figures += [loop, _figure(options, algorithm, order, tasks, together=True, loop=loop)]
    publish("Kernels of meta-steps", HEADER, [list(row.values()) for row in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _figure(
    options: Options,
    algorithm: problem.Algorithm,
    order: Order,
    tasks: int,
    together: bool,
    loop: dict[str, Any] | None = None,
) -> dict[str, Any]:
    keras.backend.clear_session()
    model = problem.learner(options.filters)
    meta = problem.meta_learner(model, algorithm, order, options.inner_steps, together)
    axes = (tasks, options.inner_steps, options.batch_size)
    data = tf.data.Dataset.from_tensors(problem.random_task(algorithm, *axes)).repeat()
    step = problem.meta_step(meta, data)
    begin = time.perf_counter()
    kernels = kernels_of(step)
    seconds = time.perf_counter() - begin
    count = sum(kernels.values()) / options.inner_steps
    most = ", ".join(f"{kind} {n // options.inner_steps}" for kind, n in kernels.most_common(6))
    row = (
        algorithm,
        order,
        tasks,
        "together" if together else "in turns",
        count,
        loop[HEADER[4]] / count if loop else None,
        seconds,
        seconds / loop[HEADER[6]] if loop else None,
        most,
    )
    return dict(zip(HEADER, row, strict=True))


if __name__ == "__main__":
    main(tyro.cli(Options))
