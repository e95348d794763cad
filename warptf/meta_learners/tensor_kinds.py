"""Checks of what kind of tensors tasks hold: dense ones, and labels that are numbers."""

from typing import Any

import tensorflow as tf

_OTHER_KINDS = (tf.RaggedTensor, tf.RaggedTensorSpec, tf.SparseTensor, tf.SparseTensorSpec)


def check_dense(what: str, values: Any) -> None:
    """Checks that no tensor is ragged or sparse.

    Args:
        what: what the values are, for the message.
        values: a structure of tensors or specs.

    Raises:
        TypeError: one is.
    """
    for value in tf.nest.flatten(values):
        if isinstance(value, _OTHER_KINDS):
            kind = type(value).__name__.removesuffix("Spec")
            raise TypeError(
                f"{what}: must be dense tensors, got a {kind} of shape {value.shape}. Batch tasks "
                "of different sizes by warptf.tasks.padded_tasks(tasks, tasks_per_batch), and give "
                "it dense ones (to_tensor)."
            )


def check_numbers(what: str, y: Any) -> None:
    """Checks that targets are no strings.

    Args:
        what: what they belong to, for the message.
        y: a structure of tensors, arrays or specs.

    Raises:
        TypeError: they are.
    """
    for value in tf.nest.flatten(y):
        if tf.as_dtype(value.dtype) == tf.string:
            raise TypeError(
                f"{what}: labels must be numbers, got strings. Number them from 0, by "
                "names, y = numpy.unique(labels, return_inverse=True), or in a data set by "
                "keras.layers.StringLookup(vocabulary=names, num_oov_indices=0)."
            )
