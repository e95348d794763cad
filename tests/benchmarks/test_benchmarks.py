"""Each benchmark runs from its options to its table and file; figures are not judged."""

import importlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import (
    bilevel_memory,
    checks,
    data,
    few_shot_data,
    import_time,
    jit,
    maml_profile,
    maze,
    maze_arithmetic,
    memory,
    meta_step,
    serving,
    threads,
    timing,
    weak_scaling,
)
from warptf.train.experiments.maze.config import MazeConfig

SMALL: dict[str, Any] = dict(filters=2, tasks=2, inner_steps=2, batch_size=2, rounds=1)
SMALL_MAML: dict[str, Any] = dict(filters=2, tasks=1, queries=1)
SMALL_MAZE: dict[str, Any] = dict(episodes=3, steps=6, units=4, updates=1, rounds=1)
MEMORIES = MazeConfig.choices()["meta_learner"]


def run(module: Any, path: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> Any:
    figures = module.main(module.Options(json=path, **options))
    printed = capsys.readouterr().out
    assert all(name in printed for name in module.HEADER)
    # Two lines of the table are its head.
    assert sum(line.startswith("|") for line in printed.splitlines()) == 2 + len(figures)
    assert json.loads(path.read_text())["figures"] == figures
    assert list(path.parent.iterdir()) == [path]
    return figures


def numbers(figures: list[dict[str, Any]], *names: str) -> list[float]:
    values = [figure[name] for figure in figures for name in names]
    assert all(math.isfinite(value) for value in values)
    return values


@pytest.mark.slow
def test_weak_scaling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small: dict[str, Any] = dict(cases=("maze, rnn",), episodes=2, episode_steps=4, units=4)
    core = min(os.sched_getaffinity(0))
    small |= dict(cores=(core, core), meta_steps=2, rounds=2)
    figures = run(weak_scaling, tmp_path / "figures.json", capsys, **small)
    assert [f["mode"] for f in figures] == ["one process", "two apart", "two workers"]
    assert [f["tasks in a meta-step"] for f in figures] == [2, 2, 4]
    assert all(len(f["seconds"]) == 2 for f in figures)
    assert min(numbers(figures, "ms a meta-step, median", "least")) > 0
    assert figures[0]["efficiency, median"] == 1


def test_meta_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "layers": ("keras",), "algorithms": ("offline",), "second_order": ("none",)}
    figures = run(meta_step, tmp_path / "figures.json", capsys, **small)
    assert [f["step"] for f in figures] == ["plain step", "inner step", "inner + none"]
    assert [f["aim"] for f in figures] == [None, None, 1.7]
    assert min(numbers(figures, "ms, median", "ms, minimum", "× plain, median")) > 0


@pytest.mark.slow
def test_jit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small: dict[str, Any] = dict(experiments=("surfaces",), preset="smoke", meta_steps=1, rounds=1)
    figures = run(jit, tmp_path / "figures.json", capsys, **small)
    assert [f["jit"] for f in figures] == ["none", "meta-step", "tasks"]
    assert figures[0]["times_as_fast"] == 1.0
    assert min(numbers(figures, "median_ms", "minimum_ms", "cpu_ms", "times_as_fast")) > 0


@pytest.mark.slow
def test_serving(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = dict(filters=2, support=20, steps=1, batches=(1, 3), rounds=2)
    figures = run(serving, tmp_path / "figures.json", capsys, **small)
    formats = ["SavedModel", "LiteRT float32", "LiteRT int8"]
    assert [(f["format"], f["batch"]) for f in figures] == [(n, b) for b in (1, 3) for n in formats]
    assert min(numbers(figures, "kib", "median_ms", "minimum_ms")) > 0
    # In floats the files predict what the adapted model does.
    assert all(float(f["difference"]) < 1e-4 for f in figures if "int8" not in f["format"])


def test_meta_step_is_relative_to_the_plain_step_of_the_same_layers() -> None:
    options = meta_step.Options(tasks=2, inner_steps=5)
    times = {
        ("warptf", None, "plain step"): [(1.0, 2.0), (3.0, 2.0), (2.0, 2.0)],
        ("warptf", "online", "inner + exact"): [(8.0, 9.0), (4.0, 9.0), (6.0, 9.0)],
        ("keras", None, "plain step"): [(2.0, 3.0)] * 3,
        ("keras", "online", "inner + exact"): [(8.0, 9.0), (4.0, 9.0), (6.0, 9.0)],
    }
    times = {key: [timing.Seconds(*pair) for pair in pairs] for key, pairs in times.items()}
    ours, keras = meta_step.figures_of(times, options)[1::2]
    assert ours["× plain, median"] == pytest.approx(3.0)
    assert ours["× plain, minima"] == pytest.approx(4.0)
    assert ours["ms, median"] == pytest.approx(600.0)
    assert ours["× plain in CPU time, median"] == pytest.approx(4.5)
    assert ours["CPU ms, median"] == pytest.approx(900.0)
    assert keras["× plain, median"] == pytest.approx(3.0)
    assert keras["× plain, minima"] == pytest.approx(2.0)
    assert keras["× plain in CPU time, median"] == pytest.approx(3.0)


def test_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "inner_steps": (2,), "second_order": "none"}
    (figure,) = run(memory, tmp_path / "figures.json", capsys, **small)
    before, peak = numbers([figure], "before, MiB", "peak, MiB")
    assert 0 < before < peak
    assert figure["to smallest K"] == figure["CPU ms to smallest K"] == 1.0


def test_memory_is_compared_with_that_of_the_fewest_steps() -> None:
    grown = {200: (100.0, 133.0), 20: (100.0, 130.0)}
    times = {200: [timing.Seconds(wall=3.0, cpu=4.0)], 20: [timing.Seconds(wall=0.2, cpu=0.5)]}
    many, few = memory.figures_of(grown, times, tasks=2)
    assert many["to smallest K"] == pytest.approx(1.1)
    assert many["ms per task and step, median"] == pytest.approx(7.5)
    assert many["CPU ms, median"] == pytest.approx(10.0)
    assert many["ms to smallest K"] == pytest.approx(1.5)
    assert many["CPU ms to smallest K"] == pytest.approx(0.8)
    assert few["to smallest K"] == few["ms to smallest K"] == 1.0


@pytest.mark.slow
def test_bilevel_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL_MAML, "inner_steps": (2, 1), "methods": ("fo-b-maml",)}
    figures = run(bilevel_memory, tmp_path / "figures.json", capsys, **small)
    assert [(f["method"], f["inner steps K"]) for f in figures] == [
        ("fo-b-maml", 2),
        ("fo-b-maml", 1),
    ]
    for figure in figures:
        assert 0 < figure["before, MiB"] < figure["peak, MiB"]
    assert figures[1]["to smallest K"] == 1.0


def test_bilevel_memory_is_compared_with_that_of_the_same_method() -> None:
    memory = {
        ("maml", 20): (100.0, 400.0),
        ("maml", 5): (100.0, 200.0),
        ("imaml", 5): (90.0, 140.0),
        ("imaml", 20): (100.0, 152.0),
    }
    figures = bilevel_memory.figures_of(memory)
    assert numbers(figures, "peak - before, MiB") == [300.0, 100.0, 50.0, 52.0]
    assert numbers(figures, "to smallest K") == pytest.approx([3.0, 1.0, 1.0, 1.04])


def test_bilevel_memory_is_drawn_whole(tmp_path: Path) -> None:
    memory = {("maml", 5): (100.0, 200.0), ("imaml", 5): (90.0, 140.0)}
    path = tmp_path / "memory.png"
    bilevel_memory.draw(bilevel_memory.figures_of(memory), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", bilevel_memory.INITIALIZATIONS)
def test_every_method_of_bilevel_memory_can_be_built(method: bilevel_memory.Method) -> None:
    assert bilevel_memory.INITIALIZATIONS[method]().get_config()


@pytest.fixture
def maml_step() -> Any:
    """The benchmark that needs PyTorch, where that is installed."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return importlib.import_module("benchmarks.maml_step")


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name)
    )
    loaded = sys.modules.pop("benchmarks.maml_step", None)
    yield
    sys.modules.pop("benchmarks.maml_step", None)
    if loaded is not None:
        sys.modules["benchmarks.maml_step"] = loaded


def test_maml_step(maml_step: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Two processes more, with threads that spin, would be slow beside the other tests.
    several = ("warptf", "PyTorch, loop, threads sleep", "PyTorch, vmap, threads sleep")
    small = {**SMALL_MAML, "inner_steps": 1, "rounds": 1, "orders": ("second",)}
    figures = run(maml_step, tmp_path / "figures.json", capsys, **small, implementations=several)
    assert [f["implementation"] for f in figures] == [*several]
    assert min(numbers(figures, "ms, median", "minimum", "CPU ms, median")) > 0
    for figure in figures[1:]:
        assert figure["gradient's difference"] < maml_step.TOLERANCE


def test_maml_steps_are_compared_with_the_fastest_form_by_each_measure(maml_step: Any) -> None:
    times = {
        ("first", "warptf"): [timing.Seconds(1.0, 3.0), timing.Seconds(1.0, 3.0)],
        ("first", "PyTorch, loop"): [timing.Seconds(2.0, 5.0), timing.Seconds(2.0, 5.0)],
        ("first", "PyTorch, vmap"): [timing.Seconds(4.0, 4.0), timing.Seconds(1.0, 4.0)],
    }
    ours, loop, vmap = maml_step.figures_of(times, {("first", "PyTorch, loop"): 1e-6})
    assert ours["× fastest PyTorch, median"] == pytest.approx(0.5)
    assert ours["× fastest PyTorch, minima"] == pytest.approx(1.0)
    assert ours["× fastest PyTorch in CPU time, median"] == pytest.approx(0.75)
    assert loop["× fastest PyTorch, median"] == pytest.approx(1.0)
    assert vmap["× fastest PyTorch, median"] == pytest.approx(1.25)
    assert [f["gradient's difference"] for f in (ours, loop, vmap)] == [None, 1e-6, None]


def test_other_meta_gradients_are_not_timed(
    maml_step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maml_step, "Worker", FixedGradients)
    with pytest.raises(RuntimeError, match="second-order meta-gradient: that of PyTorch, loop"):
        maml_step.main(maml_step.Options())


class FixedGradients:
    """A worker whose two implementations have different gradients."""

    def __init__(self, prepare: Any, options: Any) -> None:
        self.ours = prepare.__name__ == "warptf_gradients"

    def __enter__(self) -> Any:
        ours, theirs = [[np.array([1.0, 0.0])]], [[np.array([1.0, 0.01])]]
        return lambda: {"second": ours} if self.ours else {("second", "PyTorch, loop"): theirs}

    def __exit__(self, *error: Any) -> None:
        pass


def test_a_form_of_pytorch_is_needed_to_compare_with(maml_step: Any) -> None:
    with pytest.raises(ValueError, match="implementations must have one of"):
        maml_step.main(maml_step.Options(implementations=("warptf",)))


@pytest.mark.usefixtures("without_torch")
def test_without_pytorch_one_is_told_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"pip install -e '\.\[benchmarks\]'"):
        importlib.import_module("benchmarks.maml_step")


@pytest.mark.parametrize("first_order", [False, True])
def test_pytorch_has_the_same_meta_gradient_in_both_forms(first_order: bool) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    torch_maml = importlib.import_module("benchmarks.torch_maml")
    parameters = torch_maml.parameters_of(few_shot_data.initial_values(filters=2))
    batches = [few_shot_data.random_images(tasks=2, shots=1, seed=seed) for seed in range(2)]
    support, query = map(torch_maml.batch_of, batches)
    loop, vmap = (
        torch_maml.meta_gradient(form, first_order, inner_steps=1)(parameters, support, query)
        for form in ("loop", "vmap")
    )
    assert float(loop[1]) == pytest.approx(float(vmap[1]), rel=1e-5)
    for a, b in zip(*map(torch_maml.values_of, (loop[0], vmap[0])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_pytorch_returns_values_as_it_was_given_them() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    torch_maml = importlib.import_module("benchmarks.torch_maml")
    values = few_shot_data.initial_values(filters=3)
    for value, back in zip(
        values, torch_maml.values_of(torch_maml.parameters_of(values)), strict=True
    ):
        np.testing.assert_array_equal(back, value)


@pytest.mark.slow
def test_maml_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL_MAML, "inner_steps": 1, "meta_steps": 1}
    figures = run(maml_profile, tmp_path / "figures.json", capsys, **small)
    assert [f["kind"] for f in figures] == [*maml_profile.KINDS, maml_profile.BETWEEN]
    assert sum(numbers(figures, "%")) == pytest.approx(100.0)
    by_kind = {figure["kind"]: figure for figure in figures}
    # Four blocks, each run in the inner step and with the query, and differentiated in both.
    for kind in ("convolution, forward", "convolution, by its filter", "batch norm", "pooling"):
        assert by_kind[kind]["operations"] >= 8
        assert by_kind[kind]["ms"] > 0


def test_operations_of_a_kind_are_added_up() -> None:
    spent = {
        "Conv2D": maml_profile.Spent(2, 0.1),
        "_MklNativeFusedConv2D": maml_profile.Spent(1, 0.2),
        "_MklNativeConv2DBackpropFilterWithBias": maml_profile.Spent(4, 0.4),
        "TensorListPopBack": maml_profile.Spent(9, 0.1),
    }
    by_kind = {f["kind"]: f for f in maml_profile.figures_of(1.0, spent)}
    assert by_kind["convolution, forward"]["operations"] == 3
    assert by_kind["convolution, forward"]["ms"] == pytest.approx(300.0)
    assert by_kind["convolution, by its filter"]["%"] == pytest.approx(40.0)
    assert by_kind["rest"]["%"] == pytest.approx(10.0)
    assert by_kind[maml_profile.BETWEEN]["ms"] == pytest.approx(200.0)


def test_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(checks, tmp_path / "figures.json", capsys, **SMALL, algorithms=("online",))
    assert [f["algorithm"] for f in figures] == ["online"]
    numbers(figures, *checks.HEADER[1:])


def test_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "meta_steps": 1, "second_order": "none", "algorithm": "online"}
    figures = run(data, tmp_path / "figures.json", capsys, **small)
    assert [f["data"] for f in figures] == [data.MEMORY, data.GLYPHS, data.DRAWING]
    assert min(numbers(figures, "minimum", "to memory, median")) > 0


@pytest.mark.slow
def test_maze(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small: dict[str, Any] = {**SMALL_MAZE, "memories": ("rnn",), "jit": ("meta-step",)}
    figures = run(maze, tmp_path / "figures.json", capsys, **small)
    by_part = {figure["part"]: figure for figure in figures}
    assert [*by_part] == [*maze.ARITHMETIC_OF]
    rest = by_part.pop(maze.REST)
    assert rest["× arithmetic, median"] is None
    assert min(numbers([*by_part.values()], "ms, median", "minimum", "× arithmetic, median")) > 0
    for part in (maze.ARITHMETIC, maze.FORWARD, maze.BACKWARD):
        assert by_part[part]["× arithmetic, median"] == 1.0
    assert by_part[maze.TENSORFLOW]["gradient's difference"] < 1e-4


@pytest.mark.parametrize("memory", MEMORIES)
def test_maze_gradients_are_those_of_tensorflow(memory: maze.MetaLearner) -> None:
    options = maze.Options(**SMALL_MAZE)
    _, library, tensorflow = maze.on_record(maze.learner_of(options, memory, "none"), False)
    assert 0.0 <= maze.relative_difference(library(), tensorflow()) < 1e-4


def test_other_gradients_in_a_maze_are_told_apart() -> None:
    ones = [np.ones(4, "float32"), np.zeros(2, "float32")]
    other = [np.ones(4, "float32"), np.ones(2, "float32")]
    assert maze.relative_difference(ones, ones) == 0.0
    assert maze.relative_difference(other, ones) == pytest.approx(2**0.5 / 2)


def test_parts_of_an_update_are_compared_with_their_share_of_the_arithmetic() -> None:
    walls = {
        maze.UPDATE: (10.0, 14.0, 12.0),
        maze.EPISODES: (4.0, 5.0, 3.0),
        maze.GRADIENTS: (2.0, 4.0, 6.0),
        maze.TENSORFLOW: (6.0, 6.0, 3.0),
        maze.FORWARD: (1.0, 2.0, 2.0),
        maze.BACKWARD: (1.0, 1.0, 2.0),
    }
    rounds = [
        maze.Round({p: timing.Seconds(w[i], 2 * w[i]) for p, w in walls.items()}, (6, 4), 1e-6)
        for i in range(3)
    ]
    rows = maze.figures_of(("rnn", "none"), rounds, updates=2)
    by_part = {row["part"]: row for row in rows}
    # 10 - 4 - 2, 14 - 5 - 4, 12 - 3 - 6, for two updates.
    assert by_part[maze.REST]["ms, median"] == pytest.approx(2000.0)
    assert by_part[maze.REST]["CPU ms, median"] == pytest.approx(4000.0)
    assert by_part[maze.ARITHMETIC]["ms, median"] == pytest.approx(1500.0)
    assert by_part[maze.UPDATE]["× arithmetic, median"] == pytest.approx(12.0 / 3.0)
    assert by_part[maze.UPDATE]["× arithmetic, minima"] == pytest.approx(10.0 / 2.0)
    assert by_part[maze.EPISODES]["× arithmetic, median"] == pytest.approx(4.0 / 2.0)
    assert by_part[maze.GRADIENTS]["× arithmetic, median"] == pytest.approx(4.0 / 1.0)
    assert by_part[maze.TENSORFLOW]["× arithmetic, median"] == pytest.approx(6.0 / 3.0)
    assert by_part[maze.UPDATE]["arithmetic's GFLOP/s"] == pytest.approx(10.0 / 6.0 / 1e9)
    assert by_part[maze.EPISODES]["arithmetic's GFLOP/s"] == pytest.approx(6.0 / 2.0 / 1e9)


@pytest.mark.parametrize("memory", MEMORIES)
def test_arithmetic_of_a_maze_has_every_weight_matrix_of_the_agent(
    memory: maze.MetaLearner,
) -> None:
    agent = maze.learner_of(maze.Options(**SMALL_MAZE), memory, "none").model
    matrices = maze_arithmetic.matrices_of(agent)
    weights = [v for v in agent.trainable_variables if len(v.shape) == 2]
    # It scales a trace, element by element, and multiplies nothing as a matrix.
    weights = [v for v in weights if v.name != "plasticity"]
    counted = [m.rows * m.columns for m in matrices if not m.per_episode]
    assert sum(counted) == sum(math.prod(v.shape) for v in weights)
    assert sum(m.per_episode for m in matrices) == ("hebb" in memory)


def test_arithmetic_of_the_plain_cell() -> None:
    agent = maze.learner_of(maze.Options(**SMALL_MAZE), "rnn", "none").model
    matrices = maze_arithmetic.matrices_of(agent)
    # 17 numbers are observed, 4 units remember, 4 actions and a value are found.
    assert [(m.rows, m.columns) for m in matrices] == [(17, 4), (4, 4), (4, 5)]
    forward, backward = maze_arithmetic.flops(matrices, maze_arithmetic.Sizes(6, 3))
    assert forward == 2 * 6 * 3 * (17 * 4 + 4 * 4 + 4 * 5)
    assert backward == forward + 2 * 6 * 3 * (4 * 4 + 4 * 5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_arithmetic_of_a_maze_is_computed(jit_compile: bool) -> None:
    random = np.random.default_rng(0)
    shapes = [(4, 6), (6, 2), (3, 5, 3)]
    inputs = [random.normal(size=(3, s[-2])).astype("float32") for s in shapes[:2]]
    inputs += [random.normal(size=(3, 5)).astype("float32")]
    kernels = [random.normal(size=shape).astype("float32") for shape in shapes]
    chain = tf.function(maze_arithmetic.chain, jit_compile=jit_compile, autograph=False)
    found = chain(inputs, kernels, 3)
    products = [np.zeros((3, kernel.shape[-1])) for kernel in kernels]
    for _ in range(3):
        last = products[-1]
        for i, (x, kernel) in enumerate(zip(inputs, kernels, strict=True)):
            # The first half of the columns come from the product before.
            shared = min(last.shape[1], math.ceil(x.shape[1] / 2))
            x = np.hstack([last[:, :shared], x[:, shared:]])
            matrices = np.broadcast_to(kernel, (3, *kernel.shape[-2:]))
            last = products[i] = np.stack([a @ m for a, m in zip(x, matrices, strict=True)])
    for a, b in zip(found, products, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_import_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    modules = ("json", "dataclasses")
    figures = run(import_time, tmp_path / "figures.json", capsys, rounds=1, modules=modules)
    assert numbers(figures, "more than the first, s, median")[0] == 0


@pytest.mark.slow
def test_threads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "settings": ((1, 1),), "cases": ("inner",)}
    (figure,) = run(threads, tmp_path / "figures.json", capsys, **small)
    assert (figure["threads within an operation"], figure["operations at a time"]) == (1, 1)


def test_rounds_take_turns() -> None:
    calls: list[str] = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = timing.interleaved(functions, rounds=2)
    assert calls == list("ab") * 3
    assert [len(values) for values in times.values()] == [2, 2]


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        timing.interleaved({}, rounds=0)
