"""The axes of the tasks that a meta-learner is given, and the checks of what they hold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.task import Task


def as_task(data: Any) -> Task:
    """Returns data as a `Task`, also where a pipeline has turned it into a plain tuple.

    Raises:
        TypeError: it has not the structure of a task.
    """
    if isinstance(data, Task):
        return data
    if isinstance(data, tuple) and 2 <= len(data) <= 4:
        return Task(*data)
    raise TypeError(
        "a meta-learner is trained and evaluated on tasks: the data must yield "
        "warptf.tasks.Task(support=(x, y), query=(x, y), ...), the task axis first; got "
        f"{type(data).__name__}."
    )


def has_step_axis(x: Any, input_rank: int) -> bool:
    """Returns whether `x` of a task has a step axis before its batch axis.

    Args:
        x: inputs without the task axis, `[K, B, ...]` or `[B, ...]`.
        input_rank: rank of the model's input, `[B, ...]`.
    """
    return _rank(x) == input_rank + 1


def check_task(task: Task, input_rank: int, steps: int, where: str) -> None:
    """Checks the axes of a meta-batch.

    Args:
        task: the meta-batch, tensors or specs.
        input_rank: rank of the model's input, `[B, ...]`.
        steps: inner steps $K$ that the support must serve.
        where: what the data is for, for the messages.

    Raises:
        ValueError: an axis is missing or too short.
    """
    for name in ("support", "query"):
        _check_part(f"{name} of the {where} tasks", getattr(task, name), input_rank, steps)
    if task.replay is not None:
        for name, part in zip(("inner", "meta"), task.replay, strict=True):
            _check_part(f"replay ({name}) of the {where} tasks", part, input_rank, steps)


def _check_part(name: str, part: Any, input_rank: int, steps: int) -> None:
    x, y = part
    shape = tf.nest.flatten(x)[0].shape
    labels = tf.nest.flatten(y)[0].shape
    rank = len(shape)
    if rank not in (input_rank + 1, input_rank + 2):
        raise ValueError(
            f"{name}: x must have the axes [T, B, ...] or [T, K, B, ...] with the model's input of "
            f"rank {input_rank} behind T (and K), got shape {tuple(shape)}."
        )
    batch_axes = rank - input_rank + 1
    if tuple(shape[:batch_axes]) != tuple(labels[:batch_axes]):
        raise ValueError(
            f"{name}: x and y must agree in their first {batch_axes} axes, got shapes "
            f"{tuple(shape)} and {tuple(labels)}."
        )
    if rank == input_rank + 2 and shape[1] is not None and shape[1] < steps:
        raise ValueError(
            f"{name}: has batches for {shape[1]} steps, but {steps} steps are to be taken: make "
            "tasks with more steps, or lower inner_steps or evaluation_steps."
        )


def check_values(name: str, x: Any, y: Any, classes: int | None) -> None:
    """Checks that data is finite and that integer labels are in range.

    Args:
        name: what the data is, for the messages.
        x: inputs.
        y: targets.
        classes: number of classes where targets are class indices, else `None`.

    Raises:
        ValueError: NaN or infinity in floating-point data, or a label out of range.
    """
    for part, values in (("x", x), ("y", y)):
        for leaf in map(np.asarray, tf.nest.flatten(values)):
            if np.issubdtype(leaf.dtype, np.floating) and not np.isfinite(leaf).all():
                raise ValueError(
                    f"{part} of the {name} holds NaN or infinite values: remove or replace them."
                )
    labels = np.asarray(tf.nest.flatten(y)[0])
    if classes is not None and labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"labels of the {name} must lie in 0..{classes - 1}, since the model has {classes} "
            f"outputs; got labels from {labels.min()} to {labels.max()}."
        )


def map_tasks(
    function: Callable[[Task, tf.Tensor], Any], task: Task, signature: Any, count: int | tf.Tensor
) -> Any:
    """Maps a function of one task over the task axis.

    Args:
        function: `function(task, index)`; the task comes without its task axis.
        task: the meta-batch.
        signature: structure of `TensorSpec`s that the function returns.
        count: number of tasks `T`.
    """
    present = {name: part for name, part in task._asdict().items() if part is not None}

    def one(elements: tuple[tf.Tensor, dict[str, Any]]) -> Any:
        index, parts = elements
        return function(Task(**{"query": None, "support": None, **parts}), index)

    return tf.map_fn(one, (tf.range(count), present), fn_output_signature=signature)


def task_count(task: Task) -> int | tf.Tensor:
    """Returns the number of tasks in a meta-batch, as an integer where it is known."""
    x = tf.nest.flatten(task.support[0])[0]
    return x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]


def _rank(x: Any) -> int:
    return len(tf.nest.flatten(x)[0].shape)
