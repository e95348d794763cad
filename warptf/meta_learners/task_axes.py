"""The axes of the tasks that a meta-learner is given."""

from typing import Any

import keras
import tensorflow as tf

from warptf.adaptation import TaskBatches, whole_set
from warptf.meta_learners.tensor_kinds import check_dense, check_numbers
from warptf.tasks.task import PARTS, Task


def as_task(data: Any) -> Task:
    """Returns data as a `Task`, also where a pipeline has turned it into a plain tuple or dict.

    Raises:
        TypeError: it has not the structure of a task, or holds ragged tensors or names of classes.
    """
    if isinstance(data, dict):
        data = tuple(data.get(name) for name in PARTS)
    if isinstance(data, tuple) and 2 <= len(data) <= 4:
        parts: list[Any] = [None if _is_absent(part) else part for part in data]
        task = Task(*parts)
        replay = () if task.replay is None else task.replay
        if all(_is_batch(part) for part in (task.support, task.query, *replay)):
            for name, part in parts_of(task).items():
                check_dense(f"{name} of the tasks", part)
                check_numbers(f"{name} of the tasks", part[1])
            return task
    raise TypeError(
        "a meta-learner is trained and evaluated on tasks: the data must yield "
        "warptf.tasks.Task(support=(x, y), query=(x, y), ...), the task axis first; got "
        f"{_describe(data)}."
    )


def _is_batch(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) in (2, 3)


def _describe(data: Any) -> str:
    """Returns a short name of a structure: its types, and shapes of its tensors."""
    if isinstance(data, tuple):
        return f"({', '.join(map(_describe, data))})"
    shape = getattr(data, "shape", None)
    return type(data).__name__ if shape is None else f"a tensor of shape {shape}"


def _is_absent(part: Any) -> bool:
    """Returns whether a part is what a data set's `element_spec` says in place of `None`."""
    return isinstance(part, tf.TypeSpec) and not isinstance(part, tf.TensorSpec)


def inputs_of(x: Any, spec: Any, name: str = "x") -> list[tuple[str, Any, tf.TensorSpec]]:
    """Returns name, tensor and spec of each of a model's inputs, as Keras matches them.

    Args:
        x: tensors or specs in the model's own structure, or by the names of its inputs.
        spec: `input_spec` of the model.
        name: what `x` is, for the messages and where there is one input.

    Raises:
        ValueError: an input is missing, or there is one too many.
    """
    flat = keras.tree.flatten(spec)
    values = keras.tree.flatten(x)
    names = [s.name or name for s in flat]
    by_name = isinstance(x, dict) and not isinstance(spec, dict) and len(flat) > 1
    if by_name and set(names) <= set(x):
        values = [x[key] for key in names]
    elif by_name or not (len(flat) == len(values) == 1 or _same_structure(x, spec)):
        raise ValueError(
            f"{name} must hold the model's inputs {_names(spec)}, got {_names(x)}: give them in "
            "this structure."
        )
    return list(zip(names, values, flat, strict=True))


def _same_structure(x: Any, spec: Any) -> bool:
    paths = [[path for path, _ in keras.tree.flatten_with_path(part)] for part in (x, spec)]
    # Keras gives no order to a sequence for a dict.
    return paths[0] == paths[1]


def _names(structure: Any) -> Any:
    """Returns the structure with names or shapes in place of tensors."""

    def name_of(value: Any) -> str:
        return getattr(value, "name", None) or f"a tensor of shape {tuple(value.shape)}"

    if isinstance(structure, dict):
        return {key: _names(part) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_names(part) for part in structure]
    return name_of(structure)


def leading_axes(x: Any, spec: Any, name: str = "x") -> int:
    """Returns the number of axes of inputs up to the batch axis: 1 for `[B, ...]`.

    As in Keras, an input may lack a last axis of size one, or have one too many.

    Args:
        x: inputs, tensors or specs, with any axes before the batch axis.
        spec: `input_spec` of the model.
        name: what `x` is, for the messages.

    Raises:
        ValueError: the inputs do not fit the model, or not one another.
    """
    inputs = inputs_of(x, spec, name)
    found = [_fitting(shape_of(value), own) for _, value, own in inputs]
    common = set.intersection(*map(set, found))
    if not common:
        shapes = {key: shape_of(value) for key, value, _ in inputs}
        wanted = {key: tuple(own.shape) for key, _, own in inputs}
        raise ValueError(
            f"{name} must have the axes of the model's inputs {wanted}, after the same axes for "
            f"all, got shapes {shapes}."
        )
    return min(common, key=lambda count: sum(each.index(count) for each in found))


def _fitting(shape: tuple[int | None, ...], spec: tf.TensorSpec) -> list[int]:
    """Returns which numbers of axes up to the batch axis fit, the literal one first."""
    own = list(spec.shape[1:])
    literal = len(shape) - len(own)
    candidates = [(literal, own, shape)]
    if own[-1:] == [1]:
        candidates.append((literal + 1, own[:-1], shape))
    if shape[-1:] == (1,):
        candidates.append((literal - 1, own, shape[:-1]))
    return [
        count
        for count, wanted, given in candidates
        if count > 0 and tf.TensorShape(given[count:]).is_compatible_with(wanted)
    ]


def shape_of(value: Any) -> tuple[int | None, ...]:
    """Returns the shape of a tensor or spec.

    Args:
        value: the tensor or spec.

    Raises:
        ValueError: its rank is not known.
    """
    shape = value.shape
    if not isinstance(shape, tuple) and shape.rank is None:
        raise ValueError(
            "the data set does not say the shapes of its tasks: give them by output_signature or "
            "ensure_shape."
        )
    return tuple(shape)


def has_step_axis(x: Any, spec: Any) -> bool:
    """Returns whether `x` of a task has a step axis before its batch axis.

    Args:
        x: inputs without the task axis, `[K, B, ...]` or `[B, ...]`.
        spec: `input_spec` of the model.
    """
    return leading_axes(x, spec) == 2


def batches_of(task: Task, spec: Any) -> TaskBatches:
    """Returns the mini-batches of a task's inner steps.

    Args:
        task: the task, without the task axis.
        spec: `input_spec` of the model.
    """
    return TaskBatches(
        task.support,
        task.query,
        has_step_axis(task.support[0], spec),
        has_step_axis(task.query[0], spec),
    )


def whole_support(task: Task, spec: Any) -> Any:
    """Returns all examples of a task's support set, of all its steps.

    Args:
        task: the task, without the task axis.
        spec: `input_spec` of the model.
    """
    return whole_set(task.support, has_step_axis(task.support[0], spec))


def parts_of(task: Task) -> dict[str, Any]:
    """Returns the parts that a meta-batch holds, by the names that messages give them.

    Each is `(x, y)` or `(x, y, sample_weight)`.
    """
    parts = {"support": task.support, "query": task.query}
    if task.replay is not None:
        parts |= dict(zip(("replay (inner)", "replay (meta)"), task.replay, strict=True))
    return parts


def share_of_tasks(count: int | tf.Tensor) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Returns how many tasks the replicas before this one have, and how many all have.

    To be called in replica context, outside of any loop.

    Args:
        count: number of tasks on this replica.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return 0, count
    own = tf.one_hot(context.replica_id_in_sync_group, replicas, dtype=tf.int32)
    counts = context.all_reduce(tf.distribute.ReduceOp.SUM, own * count)
    before = tf.range(replicas) < context.replica_id_in_sync_group
    return tf.reduce_sum(tf.where(before, counts, 0)), tf.reduce_sum(counts)


def mean_over_tasks(values: tf.Tensor, total: int | tf.Tensor) -> tf.Tensor:
    """Returns this replica's part of the mean over all tasks: the replicas' mean is that.

    Args:
        values: `[T, ...]`, those of this replica's tasks.
        total: number of tasks on all replicas.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return tf.reduce_mean(values, axis=0)
    share = tf.cast(replicas / total, values.dtype)
    return share * tf.reduce_sum(values, axis=0)


def task_count(task: Task) -> int | tf.Tensor:
    """Returns the number of tasks in a meta-batch, as an integer where it is known."""
    x = tf.nest.flatten(task.support[0])[0]
    return x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
