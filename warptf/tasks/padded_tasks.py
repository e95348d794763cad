"""Tasks of different sizes in one meta-batch."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.tasks.mini_batches import checked_count
from warptf.tasks.task import Task


def padded_tasks(
    tasks: tf.data.Dataset, tasks_per_batch: int, drop_remainder: bool = False
) -> tf.data.Dataset:
    r"""Batch tasks whose sets differ in size; each keeps the loss that it has alone.

    Smaller sets are filled up to the largest of the meta-batch, $B$, by repeating their last
    example with a weight of zero. The $n$ examples of a set get weights of $B/n$, as Keras gives
    to what a mask leaves, since a mean loss divides by $B$: $\frac{1}{B} \sum_{i \le n} \frac{B}{n}
    \ell_i = \frac{1}{n} \sum_{i \le n} \ell_i$. Give metrics as `weighted_metrics` of `compile`:
    those of `metrics` know no weights in Keras and count the repeated examples, which batch norm
    sees, too.

    Axes: `n` examples of one task, `T` tasks, `B` examples of the largest set.

    Args:
        tasks: A data set of single tasks without a task axis and without a step axis: `Task`s, or
            tuples or dicts like them, with batches `(x, y)` or `(x, y, sample_weight)` of
            `x: [n, ...]`. Given weights are kept, times $B/n$. Other axes that differ, such as the
            length of texts, are filled with zeros or empty strings.
        tasks_per_batch: Tasks `T` of a meta-batch.
        drop_remainder: Whether to leave out a last meta-batch with fewer. Defaults to `False`.

    Returns:
        A data set of `Task`s whose batches are `(x: [T, B, ...], y: [T, B, ...], weights: [T, B])`.

    Raises:
        TypeError: If `tasks` is no data set.

    >>> import numpy as np, tensorflow as tf
    >>> def draw():
    ...     for size in (1, 3):
    ...         x, y = np.ones([size, 2], "float32"), np.ones([size], "int32")
    ...         yield Task((x, y), (x, y))
    >>> sets = tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int32)
    >>> tasks = tf.data.Dataset.from_generator(draw, output_signature=Task(sets, sets))
    >>> for task in padded_tasks(tasks, 2):
    ...     print(task.support[0].shape, task.support[2].numpy().tolist())
    (2, 3, 2) [[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    if not isinstance(tasks, tf.data.Dataset):
        raise TypeError(f"`tasks` must be a tf.data.Dataset, received {type(tasks).__name__}.")
    count = checked_count("tasks_per_batch", tasks_per_batch)
    weighted = tasks.map(_weighted, tf.data.AUTOTUNE)
    padded = weighted.padded_batch(count, drop_remainder=drop_remainder)
    return padded.map(_filled, tf.data.AUTOTUNE)


def _weighted(*element: Any) -> tuple[Task, tuple[Any, ...]]:
    """Returns a task with weights, and the sizes of its batches."""
    given = element[0] if len(element) == 1 else element
    task = Task(**given) if isinstance(given, dict) else Task(*_parts(given))
    replay = () if task.replay is None else task.replay
    batches = [_with_weights(batch) for batch in (task.support, task.query, *replay)]
    sizes = tuple(tf.shape(weights)[0] for *_, weights in batches)
    return _task_of(batches, task.task_id), sizes


def _parts(given: Any) -> Any:
    return given._asdict().values() if isinstance(given, Task) else given


def _with_weights(batch: Any) -> tuple[Any, Any, Any]:
    x, y, *weights = batch
    size = tf.shape(tf.nest.flatten(y)[0])[0]
    message = "a task's support or query set is empty"
    with tf.control_dependencies([tf.debugging.assert_positive(size, message)]):
        return x, y, tf.identity(weights[0]) if weights else tf.ones([size])


def _filled(task: Task, sizes: Sequence[tf.Tensor]) -> Task:
    """Repeats last examples in the place of zeros, and scales the weights."""
    replay = () if task.replay is None else task.replay
    batches = []
    for (x, y, weights), size in zip((task.support, task.query, *replay), sizes, strict=True):
        largest = tf.shape(weights)[1]
        places = tf.minimum(tf.range(largest)[tf.newaxis], size[:, tf.newaxis] - 1)
        x, y = tf.nest.map_structure(
            lambda part, places=places: tf.gather(part, places, axis=1, batch_dims=1), (x, y)
        )
        scale = tf.cast(largest, weights.dtype) / tf.cast(size, weights.dtype)
        batches.append((x, y, weights * scale[:, tf.newaxis]))
    return _task_of(batches, task.task_id)


def _task_of(batches: list[Any], task_id: Any) -> Task:
    support, query, *replay = batches
    return Task(support, query, tuple(replay) or None, task_id)
