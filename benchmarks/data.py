"""Cost of real data: meta-steps on drawn and distorted characters against tensors in memory.

python -m benchmarks.data
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tyro

import warptf
from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.timing import Timing

HEADER = ("data", "ms per meta-step, median", "minimum", "to memory, median", "to memory, minima")
MEMORY, GLYPHS, DRAWING = "tensors in memory", "glyphs", "glyphs, drawn but not learned from"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(problem.Sizes):
    """Times `fit` on glyphs and on one of their meta-batches kept in memory, in turns."""

    algorithm: problem.Algorithm = "offline"
    """Algorithm."""
    second_order: problem.SecondOrder = "exact"
    """Mode of the warp objective."""
    meta_steps: int = 3
    """Meta-steps that a round times, after one that it does not."""
    rounds: int = 7
    """How often each is timed."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    seconds = _measure(options)
    timings = {name: Timing.of(values, options.meta_steps) for name, values in seconds.items()}
    figures = []
    for name, timing in timings.items():
        ratios = [a / b for a, b in zip(timing, timings[MEMORY], strict=True)]
        row = (name, 1e3 * timing.median, 1e3 * timing.minimum, *ratios)
        figures.append(dict(zip(HEADER, row, strict=True)))
    publish("Meta-steps by data", HEADER, [list(figure.values()) for figure in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _measure(options: Options) -> dict[str, list[float]]:
    """Returns seconds by data, one value for each round."""
    glyphs = _tasks(options).train
    memory = problem.in_memory(next(iter(glyphs)))
    meta = problem.meta_learner(
        problem.learner(options.filters),
        options.algorithm,
        options.second_order,
        options.inner_steps,
    )
    sources = {MEMORY: memory, GLYPHS: glyphs}
    seconds: dict[str, list[float]] = {name: [] for name in (*sources, DRAWING)}
    for data in sources.values():
        _fit(meta, data, 1)
    for _ in range(options.rounds):
        for name, data in sources.items():
            seconds[name].append(_fit(meta, data, options.meta_steps))
        seconds[DRAWING].append(_draw(glyphs, options.meta_steps))
    return seconds


def _tasks(options: Options) -> warptf.tasks.MultiShot:
    """Returns the glyphs as tasks."""
    return warptf.tasks.MultiShot(
        warptf.tasks.glyph_bank(),
        ways=problem.WAYS,
        tasks_per_batch=options.tasks,
        steps=options.inner_steps,
        batch_size=options.batch_size,
        query_steps=options.algorithm == "online",
        replay=options.algorithm == "offline",
    )


class _Clock(keras.callbacks.Callback):
    """Notes when each meta-step ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Notes the time."""
        self.ends.append(time.perf_counter())


def _fit(meta: Any, data: tf.data.Dataset, meta_steps: int) -> float:
    """Returns the seconds of meta-steps, from the end of one before them to that of the last."""
    clock = _Clock()
    meta.fit(data, steps_per_epoch=meta_steps + 1, verbose=0, callbacks=[clock])
    return clock.ends[-1] - clock.ends[0]


def _draw(data: tf.data.Dataset, count: int) -> float:
    iterator = iter(data)
    next(iterator)
    started = time.perf_counter()
    for _ in range(count):
        next(iterator)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(tyro.cli(Options))
