"""Checks of the tasks that a meta-learner is given, before it works on them."""

from typing import Any

import numpy as np
import tensorflow as tf

from warptf.meta_learners.task_axes import parts_of
from warptf.tasks.task import Task


def check_task(
    task: Task, spec: tf.TensorSpec, steps: int, where: str, query_steps: bool = True
) -> None:
    """Checks the axes of a meta-batch.

    Args:
        task: the meta-batch, tensors or specs.
        spec: the model's input, `[B, ...]`.
        steps: inner steps $K$ that the support must serve.
        where: what the data is for, for the messages.
        query_steps: whether the query may have a step axis.

    Raises:
        ValueError: an axis is missing, too short, or of another size than its counterpart.
    """
    parts = parts_of(task)
    for name, part in parts.items():
        has_steps = _check_part(f"{name} of the {where} tasks", part, spec, steps)
        if name == "query" and has_steps and not query_steps:
            raise ValueError(
                f"query of the {where} tasks: x must have the axes [T, Q, ...], all held-out data "
                f"at once, got shape {_shape(part[0])} with a step axis."
            )
    sizes = {name: _shape(part[0])[0] for name, part in parts.items()}
    if task.task_id is not None:
        if len(task.task_id.shape) != 1:
            raise ValueError(
                f"task_id of the {where} tasks must have the axis [T], got shape "
                f"{tuple(task.task_id.shape)}."
            )
        sizes["task_id"] = task.task_id.shape[0]
    if len({size for size in sizes.values() if size is not None}) > 1:
        raise ValueError(
            f"all parts of the {where} tasks must have the same number T of tasks in their first "
            f"axis, got {sizes}."
        )


def check_ends(data: Any, steps: Any, where: str, argument: str) -> None:
    """Checks that a data set ends, or that it is said after how many meta-batches to stop.

    Args:
        data: the data set.
        steps: the number given, or `None`.
        where: what the data is for, for the message.
        argument: the argument that gives the number.

    Raises:
        ValueError: it has no end, and there is no number.
    """
    if steps is None and is_endless(data):
        raise ValueError(
            f"the {where} data set has no end and {argument} is None: pass {argument}, the number "
            "of meta-batches, or data.take(n)."
        )


def is_endless(data: Any) -> bool:
    """Returns whether data are known to have no end."""
    endless = tf.data.INFINITE_CARDINALITY
    return isinstance(data, tf.data.Dataset) and int(data.cardinality()) == endless


def _check_part(name: str, part: Any, spec: tf.TensorSpec, steps: int) -> bool:
    """Checks one part of a meta-batch and returns whether it has a step axis."""
    x, y, *weights = part
    shape, labels, input_rank = _shape(x), _shape(y), len(spec.shape)
    batch_axes = len(shape) - input_rank + 1
    features = tf.TensorShape(shape[batch_axes:])
    one_input = not tf.nest.is_nested(x)
    if batch_axes not in (2, 3) or (one_input and not features.is_compatible_with(spec.shape[1:])):
        raise ValueError(
            f"{name}: x must have the axes [T, B, ...] or [T, K, B, ...], tasks (and steps) before "
            f"the model's input {tuple(spec.shape)}, got shape {shape}."
        )
    if len(labels) < batch_axes or shape[:batch_axes] != labels[:batch_axes]:
        raise ValueError(
            f"{name}: x and y must agree in their first {batch_axes} axes, got shapes "
            f"{shape} and {labels}."
        )
    if weights and _shape(weights[0]) != shape[:batch_axes]:
        raise ValueError(
            f"{name}: the sample weights must have the first {batch_axes} axes of x, a number for "
            f"each example, got shape {_shape(weights[0])} for x of shape {shape}."
        )
    has_steps = batch_axes == 3
    if has_steps and shape[1] is not None and shape[1] < steps:
        raise ValueError(
            f"{name}: has batches for {shape[1]} steps, but {steps} steps are to be taken: make "
            "tasks with more steps, or lower inner_steps or evaluation_steps."
        )
    return has_steps


def check_support(x: Any, y: Any, spec: tf.TensorSpec) -> None:
    """Checks the axes of one task's support set.

    Args:
        x: inputs `[N, ...]`.
        y: targets `[N, ...]`.
        spec: the model's input, `[B, ...]`.

    Raises:
        ValueError: wrong shapes, or no examples.
    """
    shape, labels = _shape(x), _shape(y)
    if len(shape) != len(spec.shape) or not (
        tf.nest.is_nested(x) or tf.TensorShape(shape[1:]).is_compatible_with(spec.shape[1:])
    ):
        raise ValueError(
            f"x must be an array of examples [N, ...] like the model's input {tuple(spec.shape)}, "
            f"got shape {shape}."
        )
    if shape[0] == 0 or labels[:1] != shape[:1]:
        raise ValueError(
            "x and y must hold the same number of examples, at least one, got shapes "
            f"{shape} and {labels}."
        )


def check_values(name: str, x: Any, y: Any, classes: int | None) -> None:
    """Checks that data is finite and that class labels are in range.

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


def _shape(values: Any) -> tuple[int | None, ...]:
    """Returns the shape of the first tensor in a structure."""
    shape = tf.nest.flatten(values)[0].shape
    if shape.rank is None:
        raise ValueError(
            "the data set does not say the shapes of its tasks: give them by output_signature or "
            "ensure_shape."
        )
    return tuple(shape)
