"""The part of a gradient that goes through the start of adaptation."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.adaptation import Adaptation, dense_gradient

Tensors = list[tf.Tensor]


def start_term(
    problem: Adaptation,
    theta: Sequence[tf.Tensor],
    seed: tf.Tensor,
    phi: Sequence[tf.Tensor],
    support: Any,
    gradients: Sequence[tf.Tensor],
) -> Tensors:
    r"""Returns $(\partial \theta_0 / \partial \phi)^\top g$, for a start from the support.

    Args:
        problem: the inner problem.
        theta: the initialisation, as before the start.
        seed: the task's seed.
        phi: warp parameters.
        support: the whole support set.
        gradients: $g$, one for each of `theta`.
    """
    phi = list(phi)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(phi)
        start = problem.start(theta, seed, phi, support).theta
    return dense_gradient(tape, start, phi, list(gradients))
