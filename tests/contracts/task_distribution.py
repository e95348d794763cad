"""What every task distribution must satisfy."""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.task import Task

SPLITS = ("train", "validation", "test")


def check_task_distribution(distribution: Any, classes: int | None = None) -> None:
    """Check any object with `train`, `train_from`, `validation` and `test`.

    Args:
        distribution: Small enough that all of its splits can be read in seconds.
        classes: Number of classes where targets are labels, else `None`.
    """
    for split in SPLITS:
        dataset = getattr(distribution, split)
        assert isinstance(dataset, tf.data.Dataset), split
        assert isinstance(dataset.element_spec, Task), f"{split} must yield Task"
        searching = dataset.options().autotune.enabled
        assert searching is False, f"{split}: a search for threads delays the end of `fit`"
        for task in dataset.take(3):
            _check_task(task, classes, split)
    _check_stream(distribution)
    for split in SPLITS[1:]:
        dataset = getattr(distribution, split)
        assert dataset.cardinality() > 0, f"{split} must be finite and not empty"
        _check_same(list(dataset), list(dataset), f"{split} must repeat itself")


def batches_of(task: Task) -> dict[str, Any]:
    """Name each batch of a task."""
    named = {"support": task.support, "query": task.query}
    if task.replay is not None:
        named |= {"replay inner": task.replay[0], "replay meta": task.replay[1]}
    return named


def _check_task(task: Task, classes: int | None, split: str) -> None:
    tasks = {int(part.shape[0]) for part in tf.nest.flatten(task) if part is not None}
    assert len(tasks) == 1, f"{split}: the task axis must come first, found lengths {tasks}"
    for name, (x, y, *weights) in batches_of(task).items():
        where = f"{split} {name}"
        assert x.dtype.is_floating and np.isfinite(x).all(), f"{where}: finite floats"
        if classes is None:
            assert y.dtype.is_floating and np.isfinite(y).all(), where
            assert x.shape[:2] == y.shape[:2], where
        else:
            assert y.dtype.is_integer, where
            assert x.shape[: y.shape.rank] == y.shape, where
            assert 0 <= np.min(y) <= np.max(y) < classes, where
        for w in weights:
            assert w.shape == x.shape[: w.shape.rank] and np.min(w) >= 0, where
    if task.replay is not None:
        shapes = {tuple(x.shape) for x, _ in task.replay} | {tuple(task.support[0].shape)}
        assert len(shapes) == 1, f"{split}: replay has the shapes of support, found {shapes}"
    if task.task_id is not None:
        assert task.task_id.shape.rank == 1 and task.task_id.dtype.is_integer, split


def _check_stream(distribution: Any) -> None:
    train = distribution.train
    assert train.cardinality() == tf.data.INFINITE_CARDINALITY, "train must not end"
    assert all(shape.is_fully_defined() for shape in _shapes(train.element_spec))
    first = list(train.take(4))
    _check_same(first, list(distribution.train_from(0).take(4)), "train starts at step 0")
    _check_same(first[2:], list(distribution.train_from(2).take(2)), "a stream can be resumed")
    for one, other in itertools.combinations(first, 2):
        assert np.any(one.support[0] != other.support[0]), "meta-steps must differ"


def _shapes(spec: Task) -> list[tf.TensorShape]:
    return [part.shape for part in tf.nest.flatten(spec) if isinstance(part, tf.TensorSpec)]


def _check_same(some: list[Task], others: list[Task], what: str) -> None:
    assert len(some) == len(others), what
    for one, other in zip(some, others, strict=True):
        tf.nest.map_structure(lambda a, b: np.testing.assert_array_equal(a, b, what), one, other)
