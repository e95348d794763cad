"""Cost of a meta-step per task and inner step, in plain gradient steps of the same learner.

python -m benchmarks.meta_step
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tyro

from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.timing import Seconds, Timing, interleaved

PLAIN, INNER = "plain step", "inner step"
AIMS = {"exact": 4.0, "finite_difference": 3.9, "none": 1.7}

HEADER = (
    "layers",
    "algorithm",
    "step",
    "× plain, median",
    "× plain, minima",
    "ms, median",
    "ms, minimum",
    "× plain in CPU time, median",
    "CPU ms, median",
    "aim",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(problem.Sizes):
    """Times meta-steps against plain gradient steps, in turns within one process."""

    rounds: int = 7
    """How often each is timed."""
    algorithms: tuple[problem.Algorithm, ...] = ("offline", "online")
    """Algorithms to time."""
    second_order: tuple[problem.SecondOrder, ...] = ("exact", "finite_difference", "none")
    """Modes of the warp objective to time."""
    layers: tuple[problem.Layers, ...] = ("warptf", "keras")
    """Whose batch norm and max-pooling."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    figures = figures_of(interleaved(dict(cases(options)), options.rounds), options)
    rows = [[_shown(figure[name]) for name in HEADER] for figure in figures]
    publish("Cost per task and inner step", HEADER, rows)
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def cases(options: Options) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Yields what is timed: its key (layers, algorithm, step) and the function."""
    for layers in options.layers:
        plain = problem.plain_step(options.filters, options.batch_size, layers)
        yield (layers, None, PLAIN), _repeated(plain, options.tasks * options.inner_steps)
        yield _case(options, layers, "online", None)
        for algorithm in options.algorithms:
            for second_order in options.second_order:
                yield _case(options, layers, algorithm, second_order)


def _case(
    options: Options,
    layers: problem.Layers,
    algorithm: problem.Algorithm,
    second_order: problem.SecondOrder | None,
) -> tuple[Any, Callable[[], Any]]:
    model = problem.learner(options.filters, layers)
    meta = problem.meta_learner(model, algorithm, second_order, options.inner_steps)
    data = problem.in_memory(problem.random_task(algorithm, *options.axes))
    if second_order is None:
        return (layers, None, INNER), problem.meta_step(meta, data)
    return (layers, algorithm, f"inner + {second_order}"), problem.meta_step(meta, data)


def _repeated(function: Callable[[], Any], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            function()

    return run


def figures_of(times: dict[Any, list[Seconds]], options: Options) -> list[dict[str, Any]]:
    """Returns a row for each thing timed, relative to the plain step of the same layers."""
    count = options.tasks * options.inner_steps
    timings = {
        key: [Timing.of(kind, count) for kind in zip(*values, strict=True)]
        for key, values in times.items()
    }
    rows = []
    for (layers, algorithm, step), (wall, cpu) in timings.items():
        plain_wall, plain_cpu = timings[layers, None, PLAIN]
        of_wall = (wall.median / plain_wall.median, wall.minimum / plain_wall.minimum)
        of_cpu = (cpu.median / plain_cpu.median, 1e3 * cpu.median)
        aim = AIMS.get(step.removeprefix("inner + "))
        ms = (1e3 * wall.median, 1e3 * wall.minimum)
        row = (layers, algorithm, step, *of_wall, *ms, *of_cpu, aim)
        rows.append(dict(zip(HEADER, row, strict=True)))
    return rows


def _shown(value: Any) -> Any:
    return value.replace("_", " ") if isinstance(value, str) else value


if __name__ == "__main__":
    main(tyro.cli(Options))
