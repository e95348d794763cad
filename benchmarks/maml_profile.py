"""Where the time of a meta-step of MAML goes, by kind of operation.

python -m benchmarks.maml_profile
"""

import collections
import dataclasses
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf
import tyro
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import warptf
from benchmarks import few_shot, few_shot_data, problem
from benchmarks.report import publish, write_json
from benchmarks.worker import Worker

HEADER = ("kind", "operations", "ms", "%")
# By the whole name of the operation's type, less what fused and oneDNN's kernels have before it.
KINDS = {
    "convolution, forward": r"Conv2D|FusedConv2D",
    "convolution, by its input": r"Conv2DBackpropInput\w*",
    "convolution, by its filter": r"Conv2DBackpropFilter\w*",
    "batch norm": r"FusedBatchNorm\w*",
    "pooling": r"(Max|Avg)Pool\w*",
    "activations": r"Relu\w*|Softmax|SparseSoftmaxCrossEntropyWithLogits",
    "elementwise": r"Add\w*|Mul|Sub|Neg|RealDiv|DivNoNan|Square|R?[Ss]qrt|Pow|Select\w*|BiasAdd",
    "matrix products": r"\w*MatMul\w*",
    "rest": r"\w+",
}
BETWEEN = "between operations"


class Spent(NamedTuple):
    """What was spent on operations of one type.

    Attributes:
        times: how often one was run.
        seconds: how long they took.
    """

    times: float
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Traces meta-steps of 5-way 1-shot tasks on one thread, so that no two operations overlap.

    An operation that is differentiated is counted by what computes its derivatives: of convolution,
    these are convolutions again, by the input, by the filter or forward. The trace itself costs
    time, which is between operations.
    """

    filters: int = 64
    """Filters of each convolution."""
    tasks: int = 8
    """Tasks of a meta-batch."""
    inner_steps: int = 5
    """Inner steps of a task."""
    queries: int = 15
    """Images of each class in the query set."""
    first_order: bool = False
    """Whether to drop the derivatives of the inner steps."""
    meta_steps: int = 3
    """Meta-steps to trace, after two that are not; the figures are means."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    with Worker(prepare, options) as worker:
        whole, spent = worker()
    figures = figures_of(whole, spent)
    publish("A meta-step of MAML by operation", HEADER, [list(f.values()) for f in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def prepare(options: Options) -> Callable[[], tuple[float, dict[str, Spent]]]:
    """Returns what tells the seconds of a meta-step, and what of them each type of operation took.

    Args:
        options: what to trace.
    """
    few_shot.use_threads(1)
    initialization = warptf.initializations.MAML(options.first_order)
    optimizer = keras.optimizers.Adam(few_shot_data.OUTER_RATE)
    meta = few_shot.meta_learner(options.filters, options.inner_steps, initialization, optimizer)
    data = few_shot.meta_batch(options.tasks, options.queries).repeat()
    step = problem.meta_step(meta, data)

    def traced() -> tuple[float, dict[str, Spent]]:
        for _ in range(2):
            step()
        with tempfile.TemporaryDirectory() as folder:
            tf.profiler.experimental.start(folder)
            started = time.perf_counter()
            for _ in range(options.meta_steps):
                step()
            seconds = time.perf_counter() - started
            tf.profiler.experimental.stop()
            spent = _spent(Path(folder), options.meta_steps)
        return seconds / options.meta_steps, spent

    return traced


def _spent(folder: Path, meta_steps: int) -> dict[str, Spent]:
    """Returns by type of operation what a trace of meta-steps has of it for each of them."""
    counts: collections.Counter[str] = collections.Counter()
    picoseconds: collections.Counter[str] = collections.Counter()
    for name, duration in _events(folder):
        # "node:Type"; events of the runtime itself, "Class::Method", have other names.
        operation = re.fullmatch(r"[^:]+:(\w+)(#.*)?", name)
        if operation is not None:
            counts[operation[1]] += 1
            picoseconds[operation[1]] += duration
    if not counts:
        raise RuntimeError(f"the trace in {folder} has no operations: TensorFlow's format differs.")
    return {
        kind: Spent(counts[kind] / meta_steps, 1e-12 * picoseconds[kind] / meta_steps)
        for kind in counts
    }


def _events(folder: Path) -> Iterator[tuple[str, int]]:
    """Yields the events of a trace on the processor: their names and picoseconds."""
    for path in folder.rglob("*.xplane.pb"):
        for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
            if "CPU" not in plane.name:
                continue
            for line in plane.lines:
                for event in line.events:
                    yield plane.event_metadata[event.metadata_id].name, event.duration_ps


def kind_of(operation: str) -> str:
    """Returns the kind that a type of operation belongs to.

    >>> kind_of("_FusedConv2D"), kind_of("Conv2DBackpropFilter"), kind_of("MatMul")
    ('convolution, forward', 'convolution, by its filter', 'matrix products')
    """
    bare = re.sub(r"^_?(Mkl)?(Native)?", "", operation)
    return next(kind for kind, names in KINDS.items() if re.fullmatch(names, bare))


def figures_of(whole: float, spent: dict[str, Spent]) -> list[dict[str, Any]]:
    """Returns a row for each kind of operation, and one for the time in none.

    Args:
        whole: seconds of a meta-step.
        spent: what of them each type of operation took.
    """
    totals = {kind: Spent(0.0, 0.0) for kind in KINDS}
    for operation, (times, seconds) in spent.items():
        kind = kind_of(operation)
        totals[kind] = Spent(totals[kind].times + times, totals[kind].seconds + seconds)
    rows = [(kind, round(times), seconds) for kind, (times, seconds) in totals.items()]
    between = whole - sum(seconds for *_, seconds in rows)
    return [
        dict(zip(HEADER, (kind, count, 1e3 * seconds, 100 * seconds / whole), strict=True))
        for kind, count, seconds in [*rows, (BETWEEN, None, between)]
    ]


if __name__ == "__main__":
    main(tyro.cli(Options))
