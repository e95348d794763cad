"""Sizes and latencies of an exported learner: the SavedModel that adapts, and LiteRT files.

python -m benchmarks.serving
"""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tyro

import warptf
from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.timing import Timing, interleaved

HEADER = ("format", "KiB", "batch", "ms, median", "minimum", "difference from adapt")
Predict = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times predictions of the multi-shot learner after adaptation to one support set."""

    filters: int = 64
    """Filters of each convolution."""
    support: int = 100
    """Examples to adapt to."""
    steps: int = 10
    """Steps of adaptation."""
    batches: tuple[int, ...] = (1, 20)
    """Images in one prediction."""
    rounds: int = 200
    """How often each is timed."""
    threads: int = 2
    """Threads of the LiteRT interpreter."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    draw = np.random.default_rng(0)
    shape = (problem.SIDE, problem.SIDE, 1)
    x = draw.random((options.support, *shape), "float32")
    y = draw.integers(problem.WAYS, size=options.support).astype("int32")
    learner = problem.meta_learner(problem.learner(options.filters), "online", "none", 1)
    adapted = learner.adapt(x, y, steps=options.steps)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        sizes, served = artefacts(learner, adapted, (x, y), Path(folder), options)
        for batch in options.batches:
            images = draw.random((batch, *shape), "float32")
            expected = adapted(images, training=False).numpy()
            figures += figures_of(sizes, served, images, expected, options.rounds)
    publish("Served learners", HEADER, [list(row.values()) for row in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def artefacts(
    learner: Any, adapted: Any, support: tuple[np.ndarray, np.ndarray], folder: Path, options: Any
) -> tuple[dict[str, int], dict[str, Predict]]:
    """Exports a learner in all formats, and returns sizes in bytes and functions that predict.

    Args:
        learner: the meta-learner.
        adapted: what it adapted to the support set.
        support: the support set.
        folder: where to write.
        options: the benchmark's options.
    """
    learner.export(folder / "SavedModel")
    model = tf.saved_model.load(str(folder / "SavedModel"))
    model.adapt(*support, options.steps)
    served: dict[str, Predict] = {
        "SavedModel": lambda images: model.predict(images)["predictions"].numpy()
    }
    warptf.export_litert(adapted, folder / "LiteRT float32")
    warptf.export_litert(adapted, folder / "LiteRT int8", "int8", support[0])
    for name in ("LiteRT float32", "LiteRT int8"):
        served[name] = interpreted(folder / name, options.threads)
    return {name: size_of(folder / name) for name in served}, served


def interpreted(file: Path, threads: int) -> Predict:
    """Returns a function that predicts by a LiteRT file.

    Args:
        file: the file.
        threads: threads of the interpreter.
    """
    from ai_edge_litert.interpreter import Interpreter

    predict = Interpreter(str(file), num_threads=threads).get_signature_runner("predict")
    return lambda images: predict(x=images)["predictions"]


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def figures_of(
    sizes: dict[str, int],
    served: dict[str, Predict],
    images: np.ndarray,
    expected: np.ndarray,
    rounds: int,
) -> list[dict[str, Any]]:
    """Times predictions in turns, and returns a row of figures for each format.

    Args:
        sizes: bytes, by format.
        served: what predicts, by format.
        images: what is predicted for.
        expected: what the adapted model predicts.
        rounds: how often each is timed.
    """
    found = {name: predict(images) for name, predict in served.items()}
    calls = {name: lambda f=predict: f(images) for name, predict in served.items()}
    times = interleaved(calls, rounds)
    wall = {name: Timing.of([t.wall for t in seconds]) for name, seconds in times.items()}
    return [
        {
            "format": name,
            "kib": sizes[name] / 1024,
            "batch": len(images),
            "median_ms": 1e3 * wall[name].median,
            "minimum_ms": 1e3 * wall[name].minimum,
            "difference": f"{np.abs(found[name] - expected).max() / np.abs(expected).max():.0e}",
        }
        for name in served
    ]


if __name__ == "__main__":
    main(tyro.cli(Options))
