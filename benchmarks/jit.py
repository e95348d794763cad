"""What XLA does for small learners with long adaptation: the sine and surface experiments.

python -m benchmarks.jit
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from benchmarks.report import publish, write_json
from benchmarks.timing import Timing, interleaved
from warptf.train.engine.experiment import Experiment
from warptf.train.engine.run_options import Jit
from warptf.train.experiments.continual_sine.experiment import ContinualSineExperiment
from warptf.train.experiments.sine.experiment import SineExperiment
from warptf.train.experiments.surfaces.experiment import SurfacesExperiment

HEADER = ("experiment", "compiled by XLA", "ms, median", "minimum", "CPU ms", "times as fast")
Name = Literal["continual-sine", "sine", "surfaces"]
EXPERIMENTS: dict[Name, type[Experiment]] = {
    "continual-sine": ContinualSineExperiment,
    "sine": SineExperiment,
    "surfaces": SurfacesExperiment,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times meta-steps of the preset `paper`, with the exact objective, in turns."""

    experiments: tuple[Name, ...] = ("continual-sine", "sine", "surfaces")
    """Which experiments."""
    preset: str = "paper"
    """Their preset; with `smoke` the benchmark itself is tried."""
    meta_steps: int = 5
    """Meta-steps of each timing, all in one compiled call."""
    rounds: int = 5
    """How often each is timed."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    figures: list[dict[str, Any]] = []
    for name in options.experiments:
        steps = {jit: meta_steps(name, jit, options) for jit in get_args(Jit)}
        figures += figures_of(name, steps, options)
    publish("Meta-steps with and without XLA", HEADER, [list(row.values()) for row in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def meta_steps(name: Name, jit: str, options: Options) -> Callable[[], None]:
    """Returns a function that takes the meta-steps of a timing in one call.

    Args:
        name: the experiment.
        jit: what XLA compiles.
        options: the benchmark's options.
    """
    experiment = EXPERIMENTS[name]()
    config = experiment.config_class.from_preset(options.preset, jit=jit)
    tasks = experiment.build_tasks(config)
    learner = experiment.build_learner(config, tasks)
    learner.steps_per_execution = options.meta_steps
    # Drawn beforehand: the tasks are not what is timed.
    data = tasks.train_from(0).take(options.meta_steps).cache()

    def run() -> None:
        learner.fit(data, verbose=0)

    return run


def figures_of(
    name: Name, steps: dict[str, Callable[[], None]], options: Options
) -> list[dict[str, Any]]:
    """Times an experiment with each part compiled, and returns a row of figures for each.

    Args:
        name: the experiment.
        steps: what to time, by what XLA compiles.
        options: the benchmark's options.
    """
    times = interleaved(steps, options.rounds)
    wall = {
        jit: Timing.of([t.wall for t in seconds], options.meta_steps)
        for jit, seconds in times.items()
    }
    cpu = {jit: Timing.of([t.cpu for t in times[jit]], options.meta_steps) for jit in times}
    return [
        {
            "experiment": name,
            "jit": jit,
            "median_ms": 1e3 * wall[jit].median,
            "minimum_ms": 1e3 * wall[jit].minimum,
            "cpu_ms": 1e3 * cpu[jit].median,
            "times_as_fast": wall["none"].median / wall[jit].median,
        }
        for jit in steps
    ]


if __name__ == "__main__":
    main(tyro.cli(Options))
