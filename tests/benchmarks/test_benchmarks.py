"""Each benchmark runs from its options to its table and file; figures are not judged."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import data, import_time, memory, meta_step, threads, timing

SMALL: dict[str, Any] = dict(filters=2, tasks=2, inner_steps=2, batch_size=2, rounds=1)


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


def test_meta_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "layers": ("keras",), "algorithms": ("offline",), "second_order": ("none",)}
    figures = run(meta_step, tmp_path / "figures.json", capsys, **small)
    assert [f["step"] for f in figures] == ["plain step", "inner step", "inner + none"]
    assert [f["aim"] for f in figures] == [None, None, 1.7]
    assert min(numbers(figures, "ms, median", "ms, minimum", "× plain, median")) > 0


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


def test_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "meta_steps": 1, "second_order": "none", "algorithm": "online"}
    figures = run(data, tmp_path / "figures.json", capsys, **small)
    assert [f["data"] for f in figures] == [data.MEMORY, data.GLYPHS, data.DRAWING]
    assert min(numbers(figures, "minimum", "to memory, median")) > 0


def test_import_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    modules = ("json", "dataclasses")
    figures = run(import_time, tmp_path / "figures.json", capsys, rounds=1, modules=modules)
    assert numbers(figures, "more than the first, s, median")[0] == 0


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
