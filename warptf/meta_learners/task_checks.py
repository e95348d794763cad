"""Checks of the tasks that a meta-learner is given, before it works on them."""

from typing import Any

import keras
import tensorflow as tf

from warptf.compiled_loss import CompiledLoss
from warptf.meta_learners.task_axes import inputs_of, leading_axes, parts_of, shape_of
from warptf.meta_learners.tensor_kinds import check_numbers
from warptf.tasks.task import Task
from warptf.value_checks import problem_with


def check_task(task: Task, spec: Any, steps: int, where: str, query_steps: bool = True) -> None:
    """Checks the axes of a meta-batch.

    Args:
        task: the meta-batch, tensors or specs.
        spec: `input_spec` of the model.
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
                f"at once, got {described_shapes(inputs_of(part[0], spec))} with a step axis."
            )
    sizes = {name: shape_of(tf.nest.flatten(part[0])[0])[0] for name, part in parts.items()}
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


def check_no_weights(arguments: dict[str, Any]) -> None:
    """Checks that weights of examples come with the tasks, and not as arguments of `fit`.

    Args:
        arguments: those of `fit` or `evaluate`.

    Raises:
        ValueError: there are such arguments.
    """
    for name in ("class_weight", "sample_weight"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"{name}: tasks bring the weights of their examples with them: yield "
                f"Task(support=(x, y, sample_weight), query=...) and leave {name} out."
            )


def is_endless(data: Any) -> bool:
    """Returns whether data are known to have no end."""
    endless = tf.data.INFINITE_CARDINALITY
    return isinstance(data, tf.data.Dataset) and int(data.cardinality()) == endless


def _check_part(name: str, part: Any, spec: Any, steps: int) -> bool:
    """Checks one part of a meta-batch and returns whether it has a step axis."""
    x, y, *weights = part
    inputs = inputs_of(x, spec, f"{name}: x")
    try:
        count = leading_axes(x, spec, f"{name}: x")
    except ValueError as error:
        if "does not say the shapes" in str(error):
            raise
        count = 0
    if count not in (2, 3):
        raise ValueError(
            f"{name}: x must have the axes [T, B, ...] or [T, K, B, ...], tasks (and steps) before "
            f"the model's input {described_specs(spec)}, got {described_shapes(inputs)}."
        )
    first = shape_of(inputs[0][1])[:count]
    for _, value, _ in inputs:
        if shape_of(value)[:count] != first:
            raise ValueError(
                f"{name}: all inputs must agree in their first {count} axes, got "
                f"{described_shapes(inputs)}."
            )
    for target in named_leaves(y, "y"):
        if shape_of(target[1])[:count] != first:
            raise ValueError(
                f"{name}: x and {target[0]} must agree in their first {count} axes, got "
                f"{described_shapes(inputs)} and {shape_of(target[1])}."
            )
    for weight in named_leaves(weights[0], "the sample weights") if weights else ():
        if shape_of(weight[1])[:count] != first:
            raise ValueError(
                f"{name}: {weight[0]} must have the first {count} axes of x, a number for "
                f"each example, got shape {shape_of(weight[1])} for x of "
                f"{described_shapes(inputs)}."
            )
    has_steps = count == 3
    if has_steps and first[1] is not None and first[1] < steps:
        raise ValueError(
            f"{name}: has batches for {first[1]} steps, but {steps} steps are to be taken: make "
            "tasks with more steps, or lower inner_steps or evaluation_steps."
        )
    return has_steps


def check_support(x: Any, y: Any, spec: Any) -> None:
    """Checks the axes of one task's support set.

    Args:
        x: inputs `[N, ...]`, a structure of them for several.
        y: targets `[N, ...]`, alike.
        spec: `input_spec` of the model.

    Raises:
        TypeError: names of classes in place of numbers.
        ValueError: wrong shapes, or no examples.
    """
    check_numbers("the support set", y)
    inputs = inputs_of(x, spec, "x")
    try:
        fits = leading_axes(x, spec) == 1
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"x must be an array of examples [N, ...] like the model's input "
            f"{described_specs(spec)}, got {described_shapes(inputs)}."
        )
    counts = {key: shape_of(value)[:1] for key, value, _ in inputs}
    counts |= {key: shape_of(value)[:1] for key, value in named_leaves(y, "y")}
    if (0,) in counts.values() or len(set(counts.values())) > 1:
        targets = [shape_of(value) for _, value in named_leaves(y, "y")]
        raise ValueError(
            "x and y must hold the same number of examples, at least one, got "
            f"{described_shapes(inputs)} and {', '.join(map(str, targets))}."
        )


def problem_in(part: Any, name: str, spec: Any, loss: CompiledLoss) -> tf.Tensor:
    """Returns what is wrong with the numbers of a batch, a line, or an empty string.

    Args:
        part: `(x, y)` or `(x, y, sample_weight)`, with any axes before the batch axis.
        name: what the data is, for the message.
        spec: `input_spec` of the model.
        loss: the loss, which knows where targets are class indices.
    """
    x, y, *weights = part
    values = [(key, value) for key, value, _ in inputs_of(x, spec, "x")] + named_leaves(y, "y")
    if weights and weights[0] is not None:
        values += named_leaves(weights[0], "sample weights")
    return problem_with(values, loss.class_labels(y), name)


def named_leaves(structure: Any, name: str) -> list[tuple[str, Any]]:
    """Returns the tensors of a structure with a name for each.

    Args:
        structure: a tensor, or a structure of tensors.
        name: what it is.
    """
    return [
        (name + "".join(f"[{key!r}]" for key in path), value)
        for path, value in keras.tree.flatten_with_path(structure)
    ]


def described_specs(spec: Any) -> Any:
    """Returns the shape of a model's input, or the shapes of its inputs by their names.

    Args:
        spec: `input_spec` of the model.
    """
    flat = keras.tree.flatten(spec)
    if len(flat) == 1:
        return tuple(flat[0].shape)
    return {own.name: tuple(own.shape) for own in flat}


def described_shapes(inputs: Any) -> str:
    """Returns the shape of an input, or the shapes of several by their names.

    Args:
        inputs: what `inputs_of` returned.
    """
    if len(inputs) == 1:
        return f"shape {shape_of(inputs[0][1])}"
    shapes = {key: shape_of(value) for key, value, _ in inputs}
    return f"shapes {shapes}"
