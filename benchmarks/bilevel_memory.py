"""Peak memory of meta-gradients through, and at the end of, many inner steps.

python -m benchmarks.bilevel_memory
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import tyro

import warptf
from benchmarks import few_shot, few_shot_data, problem, process_memory
from benchmarks.report import publish, write_json
from benchmarks.worker import Worker
from warptf import plotting

HEADER = (
    "method",
    "inner steps K",
    "before, MiB",
    "peak, MiB",
    "peak - before, MiB",
    "to smallest K",
)
Method = Literal["maml", "imaml", "fo-b-maml"]
INITIALIZATIONS: dict[Method, Callable[[], warptf.initializations.Initialization]] = {
    "maml": warptf.initializations.MAML,
    "imaml": warptf.initializations.ImplicitMAML,
    "fo-b-maml": warptf.initializations.FirstOrderBilevelMAML,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Measures 5-way 1-shot meta-steps, in a fresh process for each method and number of steps.

    The support and query sets serve every step, so that the data do not grow with the steps. The
    memory is that which a process gains after the learner is built and has its data, compiling
    included: some 100 MiB at any K. Each process runs the same number of inner steps in all.

    By default it has one thread. With more, two tasks may or may not be at their peaks together,
    and a few meta-steps with many inner steps have fewer chances of that than many with few: this
    alone moves the peak by some 15 %, either way, and hides what is to be seen.
    """

    inner_steps: tuple[int, ...] = (5, 10, 20, 50, 100)
    """Numbers of inner steps."""
    methods: tuple[Method, ...] = ("maml", "imaml", "fo-b-maml")
    """Methods to measure."""
    filters: int = 64
    """Filters of each convolution."""
    tasks: int = 2
    """Tasks of a meta-batch."""
    queries: int = 15
    """Images of each class in the query set."""
    threads: int = 1
    """Threads within an operation, and operations at a time; 0 is TensorFlow's own choice."""
    plot: Path | None = None
    """Image file to draw the memory over the number of inner steps to."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    meta_steps = process_memory.meta_steps_of(options.inner_steps)
    memory = {}
    for method in options.methods:
        for steps in options.inner_steps:
            # One after another, so that one's memory does not depend on what others leave free.
            with Worker(prepare, options, method, steps) as worker:
                for _ in range(meta_steps[steps]):
                    memory[method, steps] = worker()
    figures = figures_of(memory)
    rows = [list(figure.values()) for figure in figures]
    publish("Meta-gradients over the number of inner steps", HEADER, rows)
    write_json(options.json, dataclasses.asdict(options), figures)
    if options.plot is not None:
        draw(figures, options.plot)
    return figures


def prepare(
    options: Options, method: Method, inner_steps: int
) -> Callable[[], tuple[float, float]]:
    """Builds a meta-learner; returns what runs one meta-step and tells the MiB before and at peak.

    Args:
        options: what to build.
        method: how it learns the initialisation.
        inner_steps: inner steps of each task.
    """
    few_shot.use_threads(options.threads)
    optimizer = keras.optimizers.SGD(few_shot_data.OUTER_RATE)
    initialization = INITIALIZATIONS[method]()
    meta = few_shot.meta_learner(options.filters, inner_steps, initialization, optimizer)
    data = few_shot.meta_batch(options.tasks, options.queries).repeat()
    step = problem.meta_step(meta, data)
    before = process_memory.resident()

    def measured() -> tuple[float, float]:
        step()
        return before, process_memory.peak()

    return measured


def figures_of(memory: dict[tuple[Method, int], tuple[float, float]]) -> list[dict[str, Any]]:
    """Returns a row for each method and number of steps.

    Args:
        memory: MiB before and at the peak.
    """
    grown = {key: peak - before for key, (before, peak) in memory.items()}
    smallest = min(steps for _, steps in memory)
    rows = []
    for (method, steps), (before, peak) in memory.items():
        own = grown[method, steps]
        row = (method, steps, before, peak, own, own / grown[method, smallest])
        rows.append(dict(zip(HEADER, row, strict=True)))
    return rows


def draw(figures: list[dict[str, Any]], path: Path) -> None:
    """Draws the memory gained over the number of inner steps, a line for each method.

    Args:
        figures: rows of the table.
        path: the image file, written whole or not at all; its suffix gives the format.
    """
    values = {}
    for method in dict.fromkeys(figure["method"] for figure in figures):
        rows = [figure for figure in figures if figure["method"] == method]
        steps, grown = ([row[name] for row in rows] for name in ("inner steps K", HEADER[4]))
        values[method] = (steps, grown)
    plotting.lines(values, path, xlabel="inner steps K", ylabel="peak memory gained, MiB")


if __name__ == "__main__":
    main(tyro.cli(Options))
