"""The part of a gradient that goes through the start of adaptation."""

from collections.abc import Sequence

import tensorflow as tf

from warptf.adaptation import TaskAdaptation, Tensors, dense_gradient


def start_term(task: TaskAdaptation, gradients: Sequence[tf.Tensor]) -> Tensors:
    r"""Returns $(\partial \theta_0 / \partial \phi)^\top g$, for a start from the support.

    Args:
        task: the task, before it is adapted to.
        gradients: $g$, one for each value that moves.
    """
    phi = list(task.parameters.phi)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(phi)
        start = task.start(task.parameters._replace(phi=phi)).state.moving
    return dense_gradient(tape, start, phi, list(gradients))
