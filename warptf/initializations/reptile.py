"""Reptile."""

from collections.abc import Callable

import tensorflow as tf

from warptf.adaptation import InnerState
from warptf.initializations.initialization import (
    AdaptFunction,
    Initialization,
    InitializationStep,
    Tensors,
    observe_nothing,
)


class Reptile(Initialization):
    r"""Moves the initialisation towards adapted parameters: gradient $\theta_0 - \theta_K$.

    Example:
        >>> import warptf
        >>> warptf.initializations.Reptile().get_config()
        {}

    Reference:
        Nichol et al., On First-Order Meta-Learning Algorithms, arXiv 1803.02999.
    """

    def learn(
        self,
        adapt: AdaptFunction,
        theta: Tensors,
        task_loss: Callable[[InnerState], tf.Tensor],
        meta_loss: Callable[[InnerState], tf.Tensor],
    ) -> InitializationStep:
        """Adapts and returns the way back from the adapted parameters."""
        adapted = adapt(theta, observe_nothing, ())
        # Behind the task parameters, theta_K holds adapted context, which has no part in this.
        gradient = [a - b for a, b in zip(theta, adapted.final.theta, strict=False)]
        return InitializationStep(gradient, adapted)
