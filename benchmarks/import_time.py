"""Time of `import warptf` beside that of `import tensorflow`.

python -m benchmarks.import_time
"""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import tyro

from benchmarks.report import publish, write_json
from benchmarks.timing import Timing

MODULES = ("tensorflow", "keras", "warptf")
HEADER = ("import", "s, median", "s, minimum", "more than the first, s, median", "minima")
_PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times imports in fresh interpreters, in turns."""

    rounds: int = 7
    """How often each is timed."""
    modules: tuple[str, ...] = MODULES
    """What to import; the first is what the others are compared with."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    for module in options.modules:
        seconds_of(module)
    seconds: dict[str, list[float]] = {module: [] for module in options.modules}
    for _ in range(options.rounds):
        for module in options.modules:
            seconds[module].append(seconds_of(module))
    timings = {module: Timing.of(values) for module, values in seconds.items()}
    first = timings[options.modules[0]]
    figures = []
    for module, timing in timings.items():
        more = (timing.median - first.median, timing.minimum - first.minimum)
        figures.append(dict(zip(HEADER, (module, *timing, *more), strict=True)))
    publish("Imports", HEADER, [list(figure.values()) for figure in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def seconds_of(module: str) -> float:
    """Returns how long a fresh interpreter takes to import a module."""
    command = [sys.executable, "-c", _PROGRAM.format(module)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    main(tyro.cli(Options))
