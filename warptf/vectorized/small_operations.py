"""Small operations that TensorFlow itself does not batch over tasks."""

import tensorflow as tf

from warptf.vectorized.registry import (
    Conversion,
    Wrapped,
    converted_by_tensorflow,
    create,
    is_list,
    wrapped,
)


def convert_unchanged(conversion: Conversion) -> list[Wrapped]:
    """Has an operation on each entry of a tensor, or of a list, go over those of all tasks.

    Args:
        conversion: the operation, of one input.
    """
    return [wrapped(create(conversion, [conversion.stacked_input(0)])[0])]


def convert_zeros(conversion: Conversion) -> list[Wrapped]:
    """Makes zeros that are the same for all tasks, or a list of zeros for each.

    Args:
        conversion: the `ZerosLike`.
    """
    if not is_list(conversion.outputs[0]):
        return converted_by_tensorflow(conversion)
    return convert_unchanged(conversion)


def convert_half_square(conversion: Conversion) -> list[Wrapped]:
    r"""Returns $\frac{1}{2} \sum x^2$ of each task.

    Args:
        conversion: the `L2Loss`.
    """
    x = conversion.stacked_input(0)
    return [wrapped(0.5 * tf.reduce_sum(tf.square(x), axis=list(range(1, x.shape.rank))))]


def convert_gather(conversion: Conversion) -> list[Wrapped]:
    """Takes entries of each task from what is the same for all, or of its own.

    Args:
        conversion: the `GatherNd`.
    """
    source, _ = conversion.inputs
    if source.is_stacked:
        return converted_by_tensorflow(conversion)
    return [wrapped(create(conversion, [source.t, conversion.stacked_input(1)])[0])]


SMALL_OPERATIONS = {
    "Bitcast": convert_unchanged,
    "PreventGradient": convert_unchanged,
    "ZerosLike": convert_zeros,
    "L2Loss": convert_half_square,
    "GatherNd": convert_gather,
}
