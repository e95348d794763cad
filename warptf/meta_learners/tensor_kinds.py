"""Checks of the kinds of tensors in tasks: dense, and numbers or strings as a model takes them."""

from typing import Any

import keras
import tensorflow as tf

from warptf.models.backbone_learner import is_backbone_learner

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


def check_inputs(
    what: str, inputs: list[tuple[str, Any, tf.TensorSpec]], model: keras.Model
) -> None:
    """Checks that inputs are strings where a model takes strings, and numbers elsewhere.

    Args:
        what: what they belong to, for the message.
        inputs: name, tensor or spec, and the model's own spec of each.
        model: the model that takes them.

    Raises:
        TypeError: one is of the other kind; or images in whole numbers for a learner on a backbone,
            which takes them in [0, 1].
    """
    unit_range = isinstance(model, keras.Model) and is_backbone_learner(model)
    for name, value, own in inputs:
        given, taken = tf.as_dtype(value.dtype), tf.as_dtype(own.dtype)
        if given == tf.string and taken != tf.string:
            raise TypeError(
                f"{what}: {name} must hold numbers, for the model's input is {taken.name}, got "
                "strings. Turn them into numbers before, or begin the model with "
                'keras.Input(shape, dtype="string") and a layer such as StringLookup or '
                "TextVectorization."
            )
        if taken == tf.string and given != tf.string:
            raise TypeError(
                f"{what}: {name} must hold strings, as the model's input does, got {given.name}."
            )
        if unit_range and not given.is_floating:
            raise TypeError(
                f"{what}: {name} must be images in [0, 1], as a learner on a backbone takes them, "
                f'got {given.name}. Divide them by 255: x.astype("float32") / 255.'
            )
