"""Multi-task learning of the initialisation."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from warptf.adaptation import InnerState, InnerStep
from warptf.initializations.initialization import (
    AdaptFunction,
    Initialization,
    InitializationStep,
    Tensors,
)


class MultiTask(Initialization):
    r"""Joint training: the gradient of the task loss at the current parameters.

    $\nabla_\theta L_{task}(\theta_0)$, averaged over tasks.

    Example:
        >>> import warptf
        >>> warptf.initializations.MultiTask().learns
        True

    Reference:
        arXiv 1909.00025, section 3 (algorithm 3).
    """

    def learn(
        self,
        adapt: AdaptFunction,
        theta: Tensors,
        task_loss: Callable[[InnerState], tf.Tensor],
        meta_loss: Callable[[InnerState], tf.Tensor],
    ) -> InitializationStep:
        r"""Adapts and returns the gradient of its first step, which is taken at $\theta_0$."""

        def observe(carry: Any, step: InnerStep) -> Any:
            first, gradients = carry
            kept = [
                tf.where(first, new, old)
                for new, old in zip(step.gradients, gradients, strict=True)
            ]
            return tf.constant(False), kept

        zeros = [tf.zeros_like(t) for t in theta]
        adapted = adapt(theta, observe, (tf.constant(True), zeros))
        return InitializationStep(adapted.observed[1], adapted)
