"""Twice the tasks on two processes against one process, each pinned to a core.

python -m benchmarks.weak_scaling
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf
import tyro

import warptf
from benchmarks import problem
from benchmarks.report import publish, write_json
from benchmarks.worker import Worker
from warptf.train.experiments.maze.config import MazeConfig
from warptf.train.experiments.maze.experiment import MazeExperiment

ONE, APART, TOGETHER = "one process", "two apart", "two workers"
HEADER = (
    "case",
    "mode",
    "tasks in a meta-step",
    "ms a meta-step, median",
    "minimum",
    "maximum",
    "efficiency, median",
    "least",
    "greatest",
)
Case = Literal["multi-shot, offline", "multi-shot, online", "maze, rnn", "maze, warp-rnn"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times meta-steps of one process and of a cluster of two, each process pinned to a core.

    The one process learns T tasks in a meta-step, the cluster 2 T, so that each process has the
    same work. Efficiency is the time of the one divided by that of the cluster. Beside them stand
    two processes that know nothing of one another, each with T tasks: what they lose, two busy
    cores cost each other; what the cluster loses more is communication and waiting.
    """

    cases: tuple[Case, ...] = (
        "multi-shot, offline",
        "multi-shot, online",
        "maze, rnn",
        "maze, warp-rnn",
    )
    """What is meta-trained."""
    cores: tuple[int, int] = (0, 1)
    """Cores that the processes are pinned to; the one process to the first."""
    filters: int = 32
    """Filters of each convolution, in multi-shot."""
    tasks: int = 2
    """Tasks T of a process, in multi-shot."""
    inner_steps: int = 10
    """Inner steps of a task, in multi-shot."""
    batch_size: int = 20
    """Images of a mini-batch, in multi-shot."""
    episodes: int = 30
    """Episodes T of a process, in the maze."""
    episode_steps: int = 200
    """Steps of an episode, in the maze."""
    units: int = 100
    """Units of the memory, in the maze."""
    meta_steps: int = 10
    """Meta-steps of each timing, all in one call of `fit`."""
    rounds: int = 5
    """How often each is timed, in turns."""
    json: Path | None = None
    """File to write the figures to."""


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    figures = []
    for case in options.cases:
        seconds = _measure(options, case)
        figures += [_figures(options, case, mode, seconds) for mode in seconds]
    publish("Weak scaling", HEADER, [[figure[name] for name in HEADER] for figure in figures])
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _measure(options: Options, case: Case) -> dict[str, list[float]]:
    """Returns the seconds of each mode, that of its slower process, one value for each round."""
    seconds: dict[str, list[float]] = {ONE: [], APART: [], TOGETHER: []}
    with contextlib.ExitStack() as stack:
        groups = {}
        for mode in seconds:
            arguments = _arguments(mode)
            workers = [
                stack.enter_context(Worker(prepare, options, case, options.cores[index], cluster))
                for index, cluster in enumerate(arguments)
            ]
            groups[mode] = workers
            # Compiles.
            _all_at_once(workers)
        for _ in range(options.rounds):
            for mode, workers in groups.items():
                seconds[mode].append(max(_all_at_once(workers)))
    return seconds


def _arguments(mode: str) -> list[str | None]:
    """Returns the cluster that each process of a mode is told to be in, or `None`."""
    if mode == ONE:
        return [None]
    if mode == APART:
        return [None, None]
    addresses = [f"localhost:{port}" for port in _free_ports(2)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def _all_at_once(workers: Sequence[Worker]) -> list[float]:
    """Calls processes at the same time: those of a cluster wait for one another."""
    with concurrent.futures.ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(lambda worker: worker(), workers))


def prepare(options: Options, case: Case, core: int, cluster: str | None) -> Callable[[], float]:
    """Returns what times the meta-steps of one process.

    Args:
        options: the benchmark's options.
        case: what is meta-trained.
        core: the core that the process is pinned to.
        cluster: the cluster that it is in, as `TF_CONFIG` says it, or `None`.
    """
    os.sched_setaffinity(0, {core})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    strategy = tf.distribute.get_strategy()
    if cluster is not None:
        os.environ["TF_CONFIG"] = cluster
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    scale = strategy.num_replicas_in_sync
    with strategy.scope():
        make = _maze if case.startswith("maze") else _multi_shot
        learner, data = make(options, case, scale)

    def seconds() -> float:
        clock = _Clock()
        with strategy.scope():
            learner.fit(data, steps_per_epoch=options.meta_steps, verbose=0, callbacks=[clock])
        return clock.seconds

    return seconds


class _Clock(keras.callbacks.Callback):
    """Times the meta-steps of `fit`.

    What comes after them is not theirs: `tf.data`, in the data sets that TensorFlow adds for the
    devices of a cluster, keeps `fit` waiting for the next turn of its search for threads.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        self.seconds = time.perf_counter() - self._start


def _multi_shot(options: Options, case: Case, scale: int) -> tuple[Any, tf.data.Dataset]:
    algorithm: problem.Algorithm = "offline" if case.endswith("offline") else "online"
    model = problem.learner(options.filters)
    learner = problem.meta_learner(model, algorithm, "none", options.inner_steps)
    axes = (scale * options.tasks, options.inner_steps, options.batch_size)
    return learner, problem.in_memory(problem.random_task(algorithm, *axes))


def _maze(options: Options, case: Case, scale: int) -> tuple[Any, tf.data.Dataset]:
    memory: Any = case.removeprefix("maze, ")
    modulated = {"lstm_units": options.units} if memory == "warp-rnn" else {}
    episodes = scale * options.episodes
    config = MazeConfig.from_preset(
        "paper",
        memory,
        jit="none",
        episodes=episodes,
        test_episodes=episodes,
        episode_steps=options.episode_steps,
        units=options.units,
        execution_steps=1,
        **modulated,
    )
    config.validate()
    experiment = MazeExperiment()
    tasks = experiment.build_tasks(config)
    learner: warptf.ContinualMetaLearner = experiment.build_learner(config, tasks)
    return learner, tasks.train_from(0)


def _figures(
    options: Options, case: Case, mode: str, seconds: dict[str, list[float]]
) -> dict[str, Any]:
    own = seconds[mode]
    efficiencies = [one / two for one, two in zip(seconds[ONE], own, strict=True)]
    tasks = options.episodes if case.startswith("maze") else options.tasks
    milliseconds = [1e3 * value / options.meta_steps for value in own]
    row = (
        case,
        mode,
        2 * tasks if mode == TOGETHER else tasks,
        statistics.median(milliseconds),
        min(milliseconds),
        max(milliseconds),
        statistics.median(efficiencies),
        min(efficiencies),
        max(efficiencies),
    )
    return dict(zip(HEADER, row, strict=True)) | {"seconds": own}


if __name__ == "__main__":
    main(tyro.cli(Options))
