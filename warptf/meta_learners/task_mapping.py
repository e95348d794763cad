"""How the tasks of a meta-batch are mapped: one after the other, or together."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import tensorflow as tf

from warptf.tasks.task import Task
from warptf.vectorized.not_vectorizable import NotVectorizable
from warptf.vectorized.vectorized_map import vectorized_map
from warptf.vectorized.xla_scope import compiled_by_xla

Vectorize = bool | int | Literal["auto"]


class TaskMapping(NamedTuple):
    """How the tasks of a meta-batch are mapped.

    Attributes:
        vectorize: whether tasks are computed together: `True`, `False`, `"auto"` for where a GPU is
            visible, or a number of tasks that are computed together at most.
        jit_compile: what XLA compiles: nothing, `False`; all that is around the mapping, `True`; or
            the mapping, `"tasks"`.
    """

    vectorize: Vectorize = False
    jit_compile: bool | str = False

    @property
    def together(self) -> bool:
        """Whether tasks are computed together."""
        if self.vectorize == "auto":
            return bool(tf.config.list_logical_devices("GPU"))
        return bool(self.vectorize)

    @property
    def most(self) -> int | None:
        """How many tasks are computed together at most, or `None` for all."""
        return None if isinstance(self.vectorize, bool | str) else self.vectorize

    @property
    def uses_xla(self) -> bool:
        """Whether XLA compiles the mapping, alone or with what is around it."""
        return bool(self.jit_compile)


ONE_BY_ONE = TaskMapping()


def checked_vectorize(value: Any) -> Vectorize:
    """Returns the argument `vectorize_tasks` of `compile`.

    Args:
        value: what was given.

    Raises:
        ValueError: it is neither a truth value, `"auto"` nor a number of tasks.
    """
    is_number = isinstance(value, int) and value >= 1
    if not (isinstance(value, bool) or is_number or value == "auto"):
        raise ValueError(
            'vectorize_tasks must be True, False, "auto" or a number of tasks, at least 1, got '
            f"{value!r}."
        )
    return value


def map_tasks(
    function: Callable[[Task, tf.Tensor], Any],
    task: Task,
    signature: Any,
    count: int | tf.Tensor,
    mapping: TaskMapping = ONE_BY_ONE,
) -> Any:
    """Maps a function of one task over the task axis.

    Args:
        function: `function(task, index)`; the task comes without its task axis.
        task: the meta-batch.
        signature: structure of `TensorSpec`s that the function returns.
        count: number of tasks `T`.
        mapping: whether tasks are computed one after the other, the default, or together.
    """
    present = {name: part for name, part in task._asdict().items() if part is not None}

    @tf.autograph.experimental.do_not_convert
    def one(elements: tuple[tf.Tensor, dict[str, Any]]) -> Any:
        index, parts = elements
        return function(Task(**{"query": None, "support": None, **parts}), index)

    return map_elements(one, (tf.range(count), present), signature, count, mapping)


def map_elements(
    function: Callable[[Any], Any],
    elements: Any,
    signature: Any,
    count: int | tf.Tensor,
    mapping: TaskMapping,
) -> Any:
    """Maps a function over the first axis of tensors.

    What cannot be computed together is computed one after the other, and a warning names the
    operation.

    Args:
        function: a function of a structure like `elements`, without the first axis.
        elements: a structure of tensors, `count` of each.
        signature: structure of `TensorSpec`s that the function returns.
        count: how many there are.
        mapping: how to.
    """
    if mapping.together:
        try:
            return _together(function, elements, signature, count, mapping)
        except NotVectorizable as error:
            warnings.warn(
                f"tasks are learned one after the other, not together (vectorize_tasks): {error}.",
                stacklevel=2,
            )
    return _one_by_one(function, elements, signature, mapping)


def _one_by_one(
    function: Callable[[Any], Any], elements: Any, signature: Any, mapping: TaskMapping
) -> Any:
    if mapping.jit_compile == "tasks":
        function = tf.function(function, jit_compile=True, autograph=False)
    scope = tf.compat.v1.get_variable_scope()
    before = scope.caching_device
    try:
        return tf.map_fn(function, elements, fn_output_signature=signature)
    except Exception:
        # Where the function fails, `map_fn` leaves a setting behind, after which no strategy's
        # scope could be entered any more.
        if not tf.executing_eagerly():
            scope.set_caching_device(before)
        raise


def _together(
    function: Callable[[Any], Any],
    elements: Any,
    signature: Any,
    count: int | tf.Tensor,
    mapping: TaskMapping,
) -> Any:
    if tf.executing_eagerly():
        raise NotVectorizable("run_eagerly", "compile", "runs operations as they come")

    def all_of(elements: Any, count: int | tf.Tensor) -> Any:
        with compiled_by_xla(mapping.uses_xla):
            return vectorized_map(function, elements, count, signature)

    def run(elements: Any) -> Any:
        most = mapping.most
        if most is None or (isinstance(count, int) and count <= most):
            return all_of(elements, count)
        return _in_parts(all_of, elements, signature, count, most)

    if mapping.jit_compile == "tasks":
        return tf.function(run, jit_compile=True, autograph=False)(elements)
    return run(elements)


def _in_parts(
    all_of: Callable[..., Any],
    elements: Any,
    signature: Any,
    count: int | tf.Tensor,
    most: int,
) -> Any:
    """Maps parts of equal size one after the other, the last one filled up with its last task."""
    parts = -(-count // most)
    size = -(-count // parts) if isinstance(count, int) else most
    order = tf.minimum(tf.range(parts * size), count - 1)
    order = tf.reshape(order, [parts, size])

    def part(numbers: tf.Tensor) -> Any:
        return all_of(tf.nest.map_structure(lambda t: tf.gather(t, numbers), elements), size)

    several = tf.nest.map_structure(
        lambda spec: tf.TensorSpec([size, *spec.shape], spec.dtype), signature
    )
    found = tf.map_fn(part, order, fn_output_signature=several)

    def joined(values: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
        return tf.reshape(values, [-1, *_sizes(spec, values)])[:count]

    return tf.nest.map_structure(joined, found, signature)


def _sizes(spec: tf.TensorSpec, values: tf.Tensor) -> list[Any]:
    """Returns the sizes of what a function returns, found in `values` where it does not say."""
    dynamic = tf.shape(values)[2:]
    return [dynamic[i] if size is None else size for i, size in enumerate(spec.shape)]
