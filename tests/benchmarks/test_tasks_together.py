"""The benchmarks of tasks that are learned together; figures are not judged."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from benchmarks import gpu, kernels
from benchmarks.device_share import busy_share
from benchmarks.graph_kernels import kernels_of
from benchmarks.limited_worker import LimitedWorker

SMALL: dict[str, Any] = dict(filters=2, tasks=(2,), inner_steps=2, batch_size=2)


def test_kernels_are_counted_as_often_as_loops_turn() -> None:
    @tf.function(autograph=False)
    def function(x: tf.Tensor) -> tf.Tensor:
        def several(one: tf.Tensor) -> tf.Tensor:
            return tf.while_loop(
                lambda k, _: k < 9,
                lambda k, y: (k + 1, tf.matmul(y, y)),
                (tf.constant(0), tf.tanh(one)),
                maximum_iterations=5,
            )[1]

        return tf.reduce_max(tf.map_fn(several, x))

    x = tf.ones([7, 3, 3])
    found = kernels_of(lambda: function(x))
    products = sum(count for kind, count in found.items() if "MatMul" in kind)
    assert (products, found["Tanh"], found["Max"]) == (7 * 5, 7, 1)
    assert sum(found.values()) == 7 * 5 + 7 + 1


def test_a_loop_of_unknown_length_is_refused() -> None:
    @tf.function(autograph=False)
    def function(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: (y + 1.0,), (x,))[0]

    with pytest.raises(ValueError, match="has no constant number of turns"):
        kernels_of(lambda: function(tf.ones([2])))


@pytest.mark.slow
def test_kernels(tmp_path: Path) -> None:
    options = kernels.Options(
        **SMALL,
        algorithms=("online",),
        objectives=("none",),
        rounds=1,
        json=tmp_path / "kernels.json",
    )
    loop, together = kernels.main(options)
    assert loop["kernels per inner step"] > together["kernels per inner step"] > 0
    assert together["times fewer"] > 1
    assert together["× the loop's"] == pytest.approx(
        together["first call, CPU s"] / loop["first call, CPU s"]
    )
    assert json.loads(options.json.read_text())["figures"] == [loop, together]


@pytest.mark.slow
def test_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "filters": (2,), "repeats": 1, "json": tmp_path / "gpu.json"}
    options = gpu.Options(**small, objectives=("none",), most_tasks=4)
    figures = gpu.main(options)
    multi_shot, few_shot = (
        [f for f in figures if f["learner"] == n] for n in ("multi-shot", "few-shot")
    )
    assert [f["way"] for f in multi_shot] == [*options.ways, "groups"]
    assert [f["way"] for f in few_shot] == list(options.ways)
    assert not any(f["failed"] for f in figures)
    assert "Tasks together" in capsys.readouterr().out
    assert json.loads(options.json.read_text())["figures"] == figures


def test_gpu_runs_to_its_end(tmp_path: Path) -> None:
    small = {**SMALL, "filters": (2,), "repeats": 1, "most_tasks": 0, "row_seconds": 400.0}
    options = gpu.Options(
        **small, objectives=("none",), learners=("multi-shot",), ways=("loop",), json=tmp_path / "f"
    )
    (figure,) = gpu.main(options)
    assert figure["failed"] is None
    assert figure["ms, median"] > 0 and figure["× the loop"] == 1
    assert json.loads((tmp_path / "f").read_text())["figures"] == [figure]


def test_gpu_leaves_out_what_it_has_no_time_for(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    figures = gpu.main(gpu.Options(seconds=0.0, json=path))
    assert figures and {f["failed"] for f in figures} == {"not begun: the time was up"}
    assert os.listdir(tmp_path) == ["gpu.json"]


def test_gpu_cuts_off_what_takes_too_long_and_goes_on(tmp_path: Path) -> None:
    options = gpu.Options(
        row_seconds=0.01, filters=(2,), tasks=(2,), ways=("loop",), json=tmp_path / "gpu.json"
    )
    figures = gpu.main(options)
    # Of the cases that look for the end of memory, the first one ends it.
    assert [(f["learner"], f["tasks"]) for f in figures] == [
        ("multi-shot", 2),
        ("multi-shot", 2),
        ("few-shot", 2),
        ("multi-shot", 4),
    ]
    assert {f["failed"] for f in figures} == {"cut off after 0.01 s"}
    assert json.loads((tmp_path / "gpu.json").read_text())["figures"] == figures


def test_gpu_writes_every_row_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gpu.json"
    known: list[int] = []

    def figures(runs: Any, case: gpu.Case) -> dict[str, Any]:
        known.append(len(json.loads(path.read_text())["figures"]) if path.exists() else 0)
        return {"failed": "tried"}

    monkeypatch.setattr(gpu._Runs, "_figures", figures)
    gpu.main(gpu.Options(json=path))
    assert known == list(range(len(known)))


def test_a_gpu_has_the_most_telling_cases_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_device", lambda: "GPU")
    found = gpu.cases(gpu.Options())
    assert [(c.device, c.way, c.compiler) for c in found[:9]] == [
        *(("GPU", way, "none") for way in ("loop", "groups", "mixed", "patches")),
        *(("GPU", way, "xla") for way in ("loop", "groups")),
        ("CPU", "loop", "none"),
        *(("GPU", way, "command-buffers") for way in ("loop", "groups")),
    ]
    assert len(set(found)) == len(found)
    sizes = {(c.filters, c.tasks, c.objective, c.way, c.compiler) for c in found}
    assert all((f, t, o, w, x) in sizes for f in (32, 64) for t in (5, 20)
               for o in ("exact", "none") for w in gpu.Options().ways
               for x in ("none", "xla"))  # fmt: skip


def test_command_buffers_are_asked_for_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp")
    first, second = gpu.environment("command-buffers")["XLA_FLAGS"].split()
    assert first == "--xla_dump_to=/tmp"
    assert second.startswith("--xla_gpu_enable_command_buffer=") and "WHILE" in second
    assert "XLA_FLAGS" not in gpu.environment("xla")


def test_a_limited_worker_starts_anew_after_it_was_ended() -> None:
    with LimitedWorker({"WARPTF_TRIED": "yes"}) as worker:
        number = worker(60.0, os.getpid)
        assert worker(60.0, os.getpid) == number != os.getpid()
        assert worker(60.0, os.getenv, "WARPTF_TRIED") == "yes"
        with pytest.raises(TimeoutError, match=r"cut off after 0\.2 s"):
            worker(0.2, time.sleep, 60)
        assert worker(60.0, os.getpid) != number
        with pytest.raises(RuntimeError, match="the process ended with exit code 3"):
            worker(60.0, os._exit, 3)
        assert worker(60.0, os.getenv, "WARPTF_TRIED") == "yes"
    assert "WARPTF_TRIED" not in os.environ


def test_what_a_gpu_is_busy_with_may_overlap() -> None:
    assert busy_share([(0, 4), (1, 2), (3, 6), (8, 10)]) == 0.8
    assert busy_share([]) is None
