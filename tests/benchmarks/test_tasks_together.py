"""The benchmarks of tasks that are learned together; figures are not judged."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from benchmarks import gpu, kernels
from benchmarks.device_share import busy_share
from benchmarks.graph_kernels import kernels_of

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
        **SMALL, algorithms=("online",), objectives=("none",), json=tmp_path / "kernels.json"
    )
    loop, together = kernels.main(options)
    assert loop["kernels per inner step"] > together["kernels per inner step"] > 0
    assert together["times fewer"] > 1
    assert json.loads(options.json.read_text())["figures"] == [loop, together]


@pytest.mark.slow
def test_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {**SMALL, "filters": (2,), "repeats": 1, "json": tmp_path / "gpu.json"}
    options = gpu.Options(**small, objectives=("none",), compilers=(False,), most_tasks=4)
    figures = gpu.main(options)
    multi_shot, few_shot = (
        [f for f in figures if f["learner"] == n] for n in ("multi-shot", "few-shot")
    )
    assert [f["way"] for f in multi_shot] == [*options.ways, "groups"]
    assert [f["way"] for f in few_shot] == list(options.ways)
    assert not any(f["failed"] for f in figures)
    assert "Tasks together" in capsys.readouterr().out
    assert json.loads(options.json.read_text())["figures"] == figures


def test_gpu_leaves_out_what_it_has_no_time_for(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    figures = gpu.main(gpu.Options(seconds=0.0, json=path))
    assert figures and {f["failed"] for f in figures} == {"not begun: the time was up"}
    assert os.listdir(tmp_path) == ["gpu.json"]


def test_what_a_gpu_is_busy_with_may_overlap() -> None:
    assert busy_share([(0, 4), (1, 2), (3, 6), (8, 10)]) == 0.8
    assert busy_share([]) is None
