"""Cost of a meta-step of MAML against the same written plainly in PyTorch.

pip install -e '.[benchmarks]'
python -m benchmarks.maml_step
"""

import contextlib
import dataclasses
import importlib.util
import itertools
import os
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tyro

from benchmarks import few_shot_data
from benchmarks.report import publish, write_json
from benchmarks.timing import Seconds, Timing, timed
from benchmarks.worker import Worker

if importlib.util.find_spec("torch") is None:
    raise ImportError(
        "benchmarks.maml_step compares with PyTorch, which is not installed: "
        "pip install -e '.[benchmarks]'"
    )

HEADER = (
    "order",
    "implementation",
    "ms, median",
    "minimum",
    "CPU ms, median",
    "× fastest PyTorch, median",
    "× fastest PyTorch, minima",
    "× fastest PyTorch in CPU time, median",
    "gradient's difference",
)
Order = Literal["first", "second"]
Implementation = Literal[
    "warptf",
    "warptf, a thread a task",
    "PyTorch, loop",
    "PyTorch, vmap",
    "PyTorch, loop, threads sleep",
    "PyTorch, vmap, threads sleep",
]
WARPTF: tuple[Implementation, ...] = ("warptf", "warptf, a thread a task")


class Form(NamedTuple):
    """A form that PyTorch is run in.

    Attributes:
        tasks: one by one, or all at once by `vmap`.
        sleeping: whether threads sleep while they wait for each other, in place of the default.
    """

    tasks: Literal["loop", "vmap"]
    sleeping: bool


FORMS: dict[Implementation, Form] = {
    "PyTorch, loop": Form("loop", sleeping=False),
    "PyTorch, vmap": Form("vmap", sleeping=False),
    "PyTorch, loop, threads sleep": Form("loop", sleeping=True),
    "PyTorch, vmap, threads sleep": Form("vmap", sleeping=True),
}
Key = tuple[Order, Implementation]
Gradient = list[np.ndarray]

# Both compute in single precision and add up in other orders, which comes to some 3e-6 of the
# gradient; but where a unit is that close to the kink of a ReLU, or two pixels to a tie, they may
# fall on different sides of it, and then the gradient is another one by up to 5e-2: that of PyTorch
# itself is in double precision. Few images make this rare, and it does not count in a median over
# tasks. Taking the first-order gradient for the second-order one is a difference of 0.4 or more.
TOLERANCE = 1e-3
CHECKED_TASKS, CHECKED_QUERIES = 5, 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times meta-steps of 5-way 1-shot tasks, in turns, each implementation in its own process.

    Both have the same learner with the same initial values, the same images, Adam for the outer
    update, and as many threads; a process idles while another is timed. Before, the meta-gradients
    of both are compared.

    PyTorch's threads by default spin for a while when they wait for each other. That is fast where
    nothing else runs, and slows it many times where other processes want the cores, too; sleeping
    is the other way round. So both are timed, and the fastest form is what warptf is compared with.
    """

    filters: int = 64
    """Filters of each convolution."""
    tasks: int = 8
    """Tasks of a meta-batch."""
    inner_steps: int = 5
    """Inner steps of a task."""
    queries: int = 15
    """Images of each class in the query set."""
    orders: tuple[Order, ...] = ("second", "first")
    """Whether to differentiate the inner steps."""
    implementations: tuple[Implementation, ...] = (*WARPTF, *FORMS)
    """What to time: warptf, its threads as TensorFlow sets them or one for each task that is
    learned at a time (`tf.config.threading.set_intra_op_parallelism_threads(1)`), and PyTorch with
    the tasks one by one and all at once, each with its threads spinning and sleeping. Leave out
    those that spin where other processes run."""
    threads: int = 0
    """Threads of each process; 0 for all cores."""
    rounds: int = 7
    """How often each is timed."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures.

    Raises:
        RuntimeError: the implementations do not compute the same meta-gradient.
        ValueError: no form of PyTorch is among the implementations.
    """
    if not set(options.implementations) & set(FORMS):
        raise ValueError(f"implementations must have one of {[*FORMS]} to compare with.")
    differences = _differences(options)
    figures = figures_of(_measure(options), differences)
    rows = [[*list(figure.values())[:-1], _shown(figure[HEADER[-1]])] for figure in figures]
    publish("Meta-steps of MAML", HEADER, rows)
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _shown(difference: float | None) -> str | None:
    return None if difference is None else f"{difference:.0e}"


def _differences(options: Options) -> dict[Key, float]:
    """Returns how far PyTorch's meta-gradients are from warptf's, after judging that."""
    with Worker(warptf_gradients, options) as ours, Worker(torch_gradients, options) as theirs:
        expected, found = ours(), theirs()
    differences = {
        key: statistics.median(map(difference, gradients, expected[key[0]]))
        for key, gradients in found.items()
    }
    for (order, implementation), value in differences.items():
        if not value < TOLERANCE:
            raise RuntimeError(
                f"{order}-order meta-gradient: that of {implementation} differs from warptf's by "
                f"{value:.2g} of its norm, more than {TOLERANCE:g}; they do not do the same."
            )
    return differences


def difference(found: Gradient, expected: Gradient) -> float:
    """Returns the norm of the difference over the norm of what is expected.

    >>> difference([np.array([3.0]), np.array([4.5])], [np.array([3.0]), np.array([4.0])])
    0.1
    """
    apart = sum(np.sum((a - b) ** 2) for a, b in zip(found, expected, strict=True))
    return float(np.sqrt(apart / sum(np.sum(b**2) for b in expected)))


def _measure(options: Options) -> dict[Key, list[Seconds]]:
    """Returns times by what was timed, one for each round."""
    keys: list[Key] = [(o, i) for o in options.orders for i in options.implementations]
    times: dict[Key, list[Seconds]] = {key: [] for key in keys}
    with contextlib.ExitStack() as stack:
        workers = {}
        for key in keys:
            prepare = prepare_warptf if key[1] in WARPTF else prepare_torch
            workers[key] = stack.enter_context(Worker(prepare, options, *key))
            # Compiles.
            workers[key]()
        for _ in range(options.rounds):
            for key, worker in workers.items():
                times[key].append(worker())
    return times


# Each of the following runs in a process of its own, and imports there what only it needs: a
# process that times the one library does not have the other loaded.


def prepare_warptf(
    options: Options, order: Order, implementation: Implementation
) -> Callable[[], Seconds]:
    """Returns what times one meta-step of warptf."""
    import keras

    from benchmarks import few_shot, problem

    few_shot.use_threads(
        options.threads, within=options.threads if implementation == "warptf" else 1
    )
    meta = _meta_learner(options, order, keras.optimizers.Adam(few_shot_data.OUTER_RATE))
    data = few_shot.meta_batch(options.tasks, options.queries).repeat()
    step = problem.meta_step(meta, data)
    return lambda: timed(step)


def warptf_gradients(options: Options) -> Callable[[], dict[Order, list[Gradient]]]:
    """Returns what computes warptf's meta-gradient of each task, which a step of rate 1 shows."""
    import keras

    from benchmarks import few_shot, problem

    few_shot.use_threads(options.threads)
    values = few_shot_data.initial_values(options.filters)

    def gradients(order: Order) -> Iterator[Gradient]:
        meta = _meta_learner(options, order, keras.optimizers.SGD(1.0))
        variables = meta.partition.task_variables
        data = few_shot.meta_batch(CHECKED_TASKS, CHECKED_QUERIES).unbatch().batch(1)
        step = problem.meta_step(meta, data)
        for _ in range(CHECKED_TASKS):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            step()
            yield [v - variable.numpy() for variable, v in zip(variables, values, strict=True)]

    return lambda: {order: list(gradients(order)) for order in options.orders}


def _meta_learner(options: Options, order: Order, optimizer: Any) -> Any:
    import warptf
    from benchmarks import few_shot

    initialization = warptf.initializations.MAML(first_order=order == "first")
    return few_shot.meta_learner(options.filters, options.inner_steps, initialization, optimizer)


def prepare_torch(
    options: Options, order: Order, implementation: Implementation
) -> Callable[[], Seconds]:
    """Returns what times one meta-step of PyTorch."""
    form = FORMS[implementation]
    torch_maml = _torch_maml(options, form.sleeping)
    gradient = torch_maml.meta_gradient(form.tasks, order == "first", options.inner_steps)
    parameters = torch_maml.parameters_of(few_shot_data.initial_values(options.filters))
    support = torch_maml.batch_of(few_shot_data.random_images(options.tasks, 1, seed=0))
    query = torch_maml.batch_of(few_shot_data.random_images(options.tasks, options.queries, seed=1))
    step = torch_maml.meta_step(gradient, parameters, support, query)
    return lambda: timed(step)


def torch_gradients(options: Options) -> Callable[[], dict[Key, list[Gradient]]]:
    """Returns what computes PyTorch's meta-gradient of each task."""
    torch_maml = _torch_maml(options, sleeping=True)
    parameters = torch_maml.parameters_of(few_shot_data.initial_values(options.filters))
    support = few_shot_data.random_images(CHECKED_TASKS, 1, seed=0)
    query = few_shot_data.random_images(CHECKED_TASKS, CHECKED_QUERIES, seed=1)

    def gradients(order: Order, implementation: Implementation) -> Iterator[Gradient]:
        tasks = FORMS[implementation].tasks
        compute = torch_maml.meta_gradient(tasks, order == "first", options.inner_steps)
        for task in range(CHECKED_TASKS):
            one = [
                torch_maml.batch_of((x[task : task + 1], y[task : task + 1]))
                for x, y in (support, query)
            ]
            yield torch_maml.values_of(compute(parameters, *one)[0])

    keys = itertools.product(options.orders, (i for i in options.implementations if i in FORMS))
    return lambda: {key: list(gradients(*key)) for key in keys}


def _torch_maml(options: Options, sleeping: bool) -> Any:
    """Returns the module of PyTorch's side, its threads set."""
    if sleeping:
        # It is read when PyTorch is loaded.
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    import torch

    from benchmarks import torch_maml

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    return torch_maml


def figures_of(
    times: dict[Key, list[Seconds]], differences: dict[Key, float]
) -> list[dict[str, Any]]:
    """Returns a row for each thing timed, relative to the fastest form of PyTorch.

    Args:
        times: wall and CPU seconds of meta-steps, one pair for each round.
        differences: how far PyTorch's meta-gradients are from warptf's.
    """
    milliseconds = {}
    for key, pairs in times.items():
        wall, cpu = (Timing.of(kind) for kind in zip(*pairs, strict=True))
        milliseconds[key] = [1e3 * s for s in (wall.median, wall.minimum, cpu.median)]
    rows = []
    for (order, implementation), own in milliseconds.items():
        torch = [milliseconds[order, form] for form in FORMS if (order, form) in times]
        # By each measure the form that is fastest by it.
        ratios = [a / min(b) for a, b in zip(own, zip(*torch, strict=True), strict=True)]
        row = (order, implementation, *own, *ratios, differences.get((order, implementation)))
        rows.append(dict(zip(HEADER, row, strict=True)))
    return rows


if __name__ == "__main__":
    main(tyro.cli(Options))
