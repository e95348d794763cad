"""What each worker of a cluster learns of a meta-batch."""

from typing import Any

import tensorflow as tf

from warptf.tasks.task import PARTS


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a strategy spreads work over several processes.

    Args:
        strategy: any strategy.
    """
    cluster = getattr(strategy, "cluster_resolver", None)
    return cluster is not None and bool(cluster.cluster_spec().jobs)


def shared(
    data: tf.data.Dataset, steps: int | None, strategy: tf.distribute.Strategy, name: str
) -> tuple[Any, int | None]:
    r"""Gives each replica of each worker its part of every meta-batch.

    All workers make the same meta-batches and keep a part of each. TensorFlow's own sharding
    would tell a worker neither the number of its tasks, which is to be known when the offline
    algorithm is compiled, nor accept the `None`s of a task.

    Args:
        data: a data set of `warptf.tasks.Task`s, or of numbers of episodes `[T]`.
        steps: number of meta-batches of an epoch or evaluation; all if `None`.
        strategy: that of the cluster.
        name: what the data is for, for the message.

    Returns:
        What `keras.Model.fit` takes for a distributed data set, and `steps` to go with it; both as
        they are where there is one worker, for which Keras distributes the data.

    Raises:
        ValueError: the number of tasks is unknown, or no multiple of the number of replicas.
    """
    if not is_multi_worker(strategy):
        return data, steps
    replicas = strategy.num_replicas_in_sync
    if steps is None and data.cardinality() > 0:
        # Where data end, TensorFlow no longer knows the sizes of batches.
        data, steps = data.repeat(), int(data.cardinality())
    present = data.map(_present)
    count = tf.nest.flatten(present.element_spec)[0].shape[0]
    if count is None or count % replicas:
        got = "an unknown number" if count is None else str(count)
        raise ValueError(
            f"the {name} data must have a fixed number T of tasks in each meta-batch, a multiple "
            f"of the {replicas} replicas of all workers, got {got}: use "
            "batch(T, drop_remainder=True)."
        )

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        size = count // context.num_input_pipelines
        first = context.input_pipeline_id * size
        own = present.map(lambda part: _slice(part, first, first + size))
        local = context.num_replicas_in_sync // context.num_input_pipelines
        if local == 1:
            return own
        batches = own.cardinality()
        own = own.rebatch(size // local, drop_remainder=True)
        # Data sets that have been batched anew know no number of batches.
        known = batches if batches < 0 else batches * local
        return own.apply(tf.data.experimental.assert_cardinality(known))

    return strategy.distribute_datasets_from_function(of_worker), steps


def _slice(part: Any, first: int, last: int) -> Any:
    return tf.nest.map_structure(lambda t: t[first:last], part)


def _present(*data: Any) -> Any:
    """Returns data without what is absent: distributed iterators know no `None`."""
    # A `Task` comes as it is, a plain tuple as so many arguments.
    element = data[0] if len(data) == 1 else data
    if not isinstance(element, tuple):
        return element
    named = zip(PARTS, element, strict=False)
    # What a `Task` lacks it holds as an empty tuple.
    return {name: part for name, part in named if not _is_absent(part)}


def _is_absent(part: Any) -> bool:
    return part is None or (isinstance(part, tuple) and not part)
