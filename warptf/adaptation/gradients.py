"""Gradients as update rules and loops take them: dense, and unscaled where losses are scaled."""

from typing import Any

import tensorflow as tf

from warptf.loss_scaling import are_scaled, scaled, unscaled

Tensors = list[tf.Tensor]


def dense_gradient(
    tape: tf.GradientTape, target: Any, sources: Any, output_gradients: Any = None
) -> Any:
    """Returns a tape's gradient with a dense tensor for every source.

    A source that the target does not depend on has a gradient of zeros; the sparse gradient of an
    embedding is made dense, for update rules compute with it and loops carry it. Where losses are
    scaled, what the gradient is computed of is, and the gradient not.

    Args:
        tape: what recorded the computation.
        target: a tensor or a structure of tensors.
        sources: a structure of tensors that the tape watches.
        output_gradients: what multiplies the targets from the left; ones if `None`.
    """
    if not are_scaled():
        return tape_gradient(tape, target, sources, output_gradients)
    if output_gradients is None:
        output_gradients = tf.nest.map_structure(tf.ones_like, target)
    return unscaled(tape_gradient(tape, target, sources, scaled(output_gradients)))


def gradient_along(tape: tf.GradientTape, gradients: Tensors, sources: Any, w: Tensors) -> Any:
    r"""Returns $\partial (g \cdot w)$ of gradients $g$, dense, for every source.

    Where losses are scaled, the direction is taken at unit length: it goes through the layers as it
    is, and in half precision a short one would be lost.

    Args:
        tape: what recorded the computation of the gradients.
        gradients: $g$.
        sources: a structure of tensors that the tape watches.
        w: one for each gradient.
    """
    if not are_scaled():
        return dense_gradient(tape, gradients, sources, w)
    length = tf.linalg.global_norm([tf.cast(part, tf.float32) for part in w])
    unit = [tf.math.divide_no_nan(part, tf.cast(length, part.dtype)) for part in w]
    found = dense_gradient(tape, gradients, sources, unit)
    return tf.nest.map_structure(lambda f: f * tf.cast(length, f.dtype), found)


def tape_gradient(tape: tf.GradientTape, target: Any, sources: Any, output_gradients: Any) -> Any:
    """Returns `dense_gradient` of what is given, whether losses are scaled or not.

    Args:
        tape: what recorded the computation.
        target: a tensor or a structure of tensors.
        sources: a structure of tensors that the tape watches.
        output_gradients: what multiplies the targets from the left; ones if `None`.
    """
    gradients = tape.gradient(
        target,
        sources,
        output_gradients=output_gradients,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return tf.nest.map_structure(tf.convert_to_tensor, gradients)
