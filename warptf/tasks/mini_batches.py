"""Mini-batches of tasks that have a step axis, and what they are counted by."""

from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.task import Task

Batch = tuple[Any, Any]
Axes = tuple[int, int]


def drawn_counts(axes: Axes, query_steps: bool, replay: bool) -> list[int]:
    """Returns how many examples each part of a training task takes.

    Args:
        axes: `(K, B)`, steps and examples of a mini-batch.
        query_steps: whether the query has a step axis.
        replay: whether the task holds `replay`.
    """
    every_step, once = axes[0] * axes[1], axes[1]
    counts = [every_step, every_step if query_steps else once]
    return counts + [every_step] * (2 if replay else 0)


def training_task(
    batch: Batch, axes: Axes, query_steps: bool, replay: bool, task_id: Any = None
) -> Task:
    """Returns a training task made of examples that were drawn for it.

    Args:
        batch: `(x, y)`, as many examples as `drawn_counts` says in all.
        axes: `(K, B)`, steps and examples of a mini-batch.
        query_steps: whether the query has a step axis.
        replay: whether the task holds `replay`.
        task_id: number of the task, if it has one.
    """
    counts = drawn_counts(axes, query_steps, replay)
    drawn = list(zip(*(tf.split(part, counts) for part in batch), strict=True))
    return Task(
        support=folded(drawn[0], axes),
        query=folded(drawn[1], axes) if query_steps else drawn[1],
        replay=(folded(drawn[2], axes), folded(drawn[3], axes)) if replay else None,
        task_id=task_id,
    )


def folded(batch: Batch, axes: Axes) -> Batch:
    """Returns a batch `[K * B, ...]` with the axes `[K, B, ...]`."""
    x, y = batch
    return tf.reshape(x, [*axes, *x.shape[1:]]), tf.reshape(y, axes)


def as_floats(images: tf.Tensor) -> tf.Tensor:
    """Returns `uint8` images as floats in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0


def checked_count(name: str, value: Any, default: int | None = None, least: int = 1) -> int:
    """Returns an argument that counts something, or its default where it is `None`.

    Raises:
        TypeError: It is no integer.
        ValueError: It is too small.
    """
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer, received {value!r}.")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}, received {value}.")
    return int(value)


def legacy_seed(*numbers: int) -> list[int]:
    """Any non-negative integers as the 32-bit words that NumPy's legacy generator takes."""
    return [int(word) for n in numbers for word in (n & 0xFFFFFFFF, (n >> 32) & 0xFFFFFFFF)]
