"""Cost of an update of an agent in a maze, beside that of its matrix products alone.

python -m benchmarks.maze
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tensorflow as tf
import tyro

from benchmarks import maze_arithmetic
from benchmarks.report import publish, write_json
from benchmarks.timing import Seconds, Timing, timed
from benchmarks.worker import Worker
from warptf import reinforcement
from warptf.partition import FunctionalLearner
from warptf.train.experiments.maze.config import MazeConfig, MetaLearner
from warptf.train.experiments.maze.experiment import MazeExperiment

UPDATE, EPISODES, GRADIENTS, REST = "update", "episodes", "gradients", "rest"
TENSORFLOW = "TensorFlow's gradients"
ARITHMETIC, FORWARD, BACKWARD = "arithmetic", "arithmetic, forward", "arithmetic, backward"
# What each part is compared with; the rest of an update has no matrix products.
ARITHMETIC_OF = {
    UPDATE: ARITHMETIC,
    EPISODES: FORWARD,
    GRADIENTS: BACKWARD,
    REST: None,
    TENSORFLOW: ARITHMETIC,
    ARITHMETIC: ARITHMETIC,
    FORWARD: FORWARD,
    BACKWARD: BACKWARD,
}

HEADER = (
    "memory",
    "compiled by XLA",
    "part",
    "ms, median",
    "minimum",
    "CPU ms, median",
    "× arithmetic, median",
    "× arithmetic, minima",
    "arithmetic's GFLOP/s",
    "gradient's difference",
)
Compiled = Literal["meta-step", "none"]
Key = tuple[MetaLearner, Compiled]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Times updates of `warptf train maze` and their parts, each configuration in its own process.

    An update lives the episodes, computes the gradients and takes the optimizer's step. Its parts
    are timed apart: living the episodes; the gradients on recorded episodes; and by difference the
    rest, which is the optimizer and what `fit` itself takes. Beside them stand TensorFlow's own
    gradients of the same recorded episodes, which are first compared with the library's, and the
    arithmetic alone: the same matrix products, as often and as dependent on one another, without
    environment, sampling, element-wise functions, records or optimizer.

    The arithmetic is compiled as the update is. A part is compared with its own share: the episodes
    with the products of the way forward, the gradients with those of the way back, all else with
    both.
    """

    memories: tuple[MetaLearner, ...] = ("warp-rnn", "rnn")
    """The agents' memories."""
    jit: tuple[Compiled, ...] = ("meta-step", "none")
    """What XLA compiles: the whole update, or nothing."""
    episodes: int = 30
    """Episodes of an update."""
    steps: int = 200
    """Steps of an episode."""
    units: int = 100
    """Units of the memory, and of the LSTM that modulates it."""
    updates: int = 10
    """Updates of each timing, all in one call of `fit`."""
    rounds: int = 5
    """How often each is timed, in turns."""
    json: Path | None = None
    """File to write the figures to."""


class Round(NamedTuple):
    """What a process measured in one round.

    Attributes:
        seconds: of all updates, by part.
        flops: multiplications and additions of an update's products, forward and backward.
        difference: of the library's gradient from TensorFlow's, relative to the latter.
    """

    seconds: dict[str, Seconds]
    flops: tuple[int, int]
    difference: float


def main(options: Options) -> list[dict[str, Any]]:
    """Measures, prints the table and returns the figures."""
    rounds = _measure(options)
    figures = [row for key in rounds for row in figures_of(key, rounds[key], options.updates)]
    rows = [[*list(figure.values())[:-1], _shown(figure[HEADER[-1]])] for figure in figures]
    publish("Updates of agents in a maze", HEADER, rows)
    write_json(options.json, dataclasses.asdict(options), figures)
    return figures


def _shown(difference: float | None) -> str | None:
    return None if difference is None else f"{difference:.0e}"


def _measure(options: Options) -> dict[Key, list[Round]]:
    """Returns what each configuration took, one value for each round."""
    keys: list[Key] = [(memory, jit) for memory in options.memories for jit in options.jit]
    rounds: dict[Key, list[Round]] = {key: [] for key in keys}
    with contextlib.ExitStack() as stack:
        workers = {}
        for key in keys:
            workers[key] = stack.enter_context(Worker(prepare, options, *key))
            # Compiles.
            workers[key]()
        for _ in range(options.rounds):
            for key, worker in workers.items():
                rounds[key].append(worker())
    return rounds


def prepare(options: Options, memory: MetaLearner, jit: Compiled) -> Callable[[], Round]:
    """Returns what times an update and its parts once.

    Args:
        options: the benchmark's options.
        memory: the agent's memory.
        jit: what XLA compiles.
    """
    learner = learner_of(options, memory, jit)
    matrices = maze_arithmetic.matrices_of(learner.model)
    sizes = maze_arithmetic.Sizes(options.steps, options.episodes)
    compiled = jit == "meta-step"
    live, library, tensorflow = on_record(learner, compiled)
    data = learner.experience.batches(options.updates).cache()
    functions = {
        UPDATE: lambda: learner.fit(data, verbose=0),
        EPISODES: _repeated(live, options.updates),
        GRADIENTS: _repeated(library, options.updates),
        TENSORFLOW: _repeated(tensorflow, options.updates),
    }
    for name, part in ((FORWARD, maze_arithmetic.forward), (BACKWARD, maze_arithmetic.backward)):
        functions[name] = _repeated(part(matrices, sizes, compiled), options.updates)
    difference = relative_difference(library(), tensorflow())
    flops = maze_arithmetic.flops(matrices, sizes)
    return lambda: Round({n: timed(f) for n, f in functions.items()}, flops, difference)


def learner_of(options: Options, memory: MetaLearner, jit: Compiled) -> Any:
    """Returns the meta-learner that `warptf train maze` would train, compiled.

    Args:
        options: the benchmark's options.
        memory: the agent's memory.
        jit: what XLA compiles.
    """
    experiment, config = MazeExperiment(), config_of(options, memory, jit)
    return experiment.build_learner(config, experiment.build_tasks(config))


def config_of(options: Options, memory: MetaLearner, jit: Compiled) -> MazeConfig:
    """Returns the configuration of `warptf train maze` that the options stand for.

    Args:
        options: the benchmark's options.
        memory: the agent's memory.
        jit: what XLA compiles.
    """
    modulated = MazeConfig.from_preset("paper", memory).lstm_units is not None
    config = MazeConfig.from_preset(
        "paper",
        memory,
        jit=jit,
        episodes=options.episodes,
        test_episodes=options.episodes,
        episode_steps=options.steps,
        units=options.units,
        lstm_units=options.units if modulated else None,
        meta_steps=options.updates,
        epoch_steps=options.updates,
        execution_steps=options.updates,
    )
    config.validate()
    return config


def _repeated(function: Callable[[], Any], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            function()

    return run


def on_record(learner: Any, jit_compile: bool) -> tuple[Callable[[], Any], ...]:
    """Returns what lives episodes, and what computes the gradients of recorded ones in two ways.

    Args:
        learner: the compiled meta-learner.
        jit_compile: whether XLA compiles each function.

    Returns:
        Functions of no arguments: one lives episodes; the others return the gradients in task and
        warp parameters, as the library and as TensorFlow differentiate.
    """
    agent, experience = learner.model, learner.experience
    player = reinforcement.Player(
        agent, experience.environment, experience.episodes, jit_compile=jit_compile
    )
    record = player(seed=0)
    functional = FunctionalLearner(agent)

    def library(record: reinforcement.Rollout) -> list[tf.Tensor]:
        theta, phi = functional.initial_theta(), functional.warp_values()
        learned = experience.learn(functional, theta, phi, record, tf.constant([0, 0]))
        return [*learned.theta, *learned.phi]

    def tensorflow(record: reinforcement.Rollout) -> list[tf.Tensor]:
        return tensorflow_gradients(learner, record)

    compiled = [
        tf.function(gradients, jit_compile=jit_compile, autograph=False)
        for gradients in (library, tensorflow)
    ]
    of_library, of_tensorflow = compiled
    return lambda: player(seed=0), lambda: of_library(record), lambda: of_tensorflow(record)


def tensorflow_gradients(learner: Any, record: reinforcement.Rollout) -> list[tf.Tensor]:
    """Returns the gradients in task and warp parameters by a tape around the agent's own call.

    Args:
        learner: the compiled meta-learner.
        record: the episodes.
    """
    experience, parts = learner.experience, learner.partition
    returns = reinforcement.discounted_returns(record.rewards, experience.discount)
    sources = [v.value for v in (*parts.task_variables, *parts.warp_variables)]
    with tf.GradientTape() as tape:
        logits, values = learner.model(tf.transpose(record.observations, (1, 0, 2)))
        logits, values = tf.transpose(logits, (1, 0, 2)), tf.transpose(values)
        terms = reinforcement.actor_critic_terms(
            logits, values, record.actions, returns, record.alive
        )
        loss = (
            terms.policy
            + experience.value_weight * terms.value
            + experience.concentration_weight * terms.concentration
        )
    return tape.gradient(loss, sources)


def relative_difference(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Returns the norm of the difference of two gradients over that of the second.

    Args:
        found: a tensor for each variable.
        expected: likewise.
    """
    difference = [a - b for a, b in zip(found, expected, strict=True)]
    return float(tf.linalg.global_norm(difference) / tf.linalg.global_norm(expected))


def figures_of(key: Key, rounds: Sequence[Round], updates: int) -> list[dict[str, Any]]:
    """Returns a row for each part of one configuration's update.

    Args:
        key: memory, and what XLA compiled.
        rounds: what was measured.
        updates: how many updates each time is of.
    """
    seconds = seconds_by_part([r.seconds for r in rounds])
    wall = {part: Timing.of([s.wall for s in seconds[part]], updates) for part in ARITHMETIC_OF}
    cpu = {part: Timing.of([s.cpu for s in seconds[part]], updates) for part in ARITHMETIC_OF}
    forward, backward = rounds[0].flops
    flops = {ARITHMETIC: forward + backward, FORWARD: forward, BACKWARD: backward}
    rows = []
    for part, arithmetic in ARITHMETIC_OF.items():
        # Of differences, the least is no estimate of anything.
        minimum = None if part == REST else 1e3 * wall[part].minimum
        ms = (1e3 * wall[part].median, minimum, 1e3 * cpu[part].median)
        compared: tuple[float | None, ...] = (None, None, None)
        if arithmetic is not None:
            times = (a / b for a, b in zip(wall[part], wall[arithmetic], strict=True))
            compared = (*times, flops[arithmetic] / wall[part].median / 1e9)
        difference = rounds[0].difference if part == TENSORFLOW else None
        row = (*key, part, *ms, *compared, difference)
        rows.append(dict(zip(HEADER, row, strict=True)))
    return rows


def seconds_by_part(rounds: Sequence[Mapping[str, Seconds]]) -> dict[str, list[Seconds]]:
    """Returns the seconds of each part in each round, those included that were not measured apart.

    Args:
        rounds: the seconds of what was measured.
    """
    parts = {part: [seconds[part] for seconds in rounds] for part in rounds[0]}
    parts[ARITHMETIC] = [_sum(r[FORWARD], r[BACKWARD]) for r in rounds]
    parts[REST] = [_sum(r[UPDATE], r[EPISODES], r[GRADIENTS], signs=(1, -1, -1)) for r in rounds]
    return parts


def _sum(*seconds: Seconds, signs: tuple[int, ...] = (1, 1)) -> Seconds:
    kinds = zip(*seconds, strict=True)
    return Seconds(*(sum(s * x for s, x in zip(signs, kind, strict=True)) for kind in kinds))


if __name__ == "__main__":
    main(tyro.cli(Options))
