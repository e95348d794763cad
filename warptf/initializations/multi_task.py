"""Multi-task learning of the initialisation."""

import tensorflow as tf

from warptf.adaptation import Adapted, InnerStep, Start, Tensors
from warptf.initializations.initialization import Initialization


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

    def begin(self, start: Start) -> Tensors:
        """Returns zeros, the gradient before there is one."""
        return [tf.zeros_like(t) for t in start.shared.theta]

    def observe(self, k: tf.Tensor, step: InnerStep, carry: Tensors) -> Tensors:
        r"""Returns the gradient of the first step, which is taken at $\theta_0$."""
        return [
            tf.where(tf.equal(k, 0), new, old)
            for new, old in zip(step.theta_gradients, carry, strict=True)
        ]

    def end(self, adapted: Adapted, carry: Tensors) -> Tensors:
        """Returns that gradient."""
        return carry
