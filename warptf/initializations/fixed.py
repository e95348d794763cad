"""An initialisation that is not learned."""

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


class Fixed(Initialization):
    r"""Leaves $\theta_0$ as it is: $\lambda = 0$ in Eq. 9.

    Example:
        >>> import warptf
        >>> warptf.initializations.Fixed().learns
        False

    Reference:
        arXiv 1909.00025, table 4.
    """

    @property
    def learns(self) -> bool:
        r"""Whether $\theta_0$ moves."""
        return False

    def learn(
        self,
        adapt: AdaptFunction,
        theta: Tensors,
        task_loss: Callable[[InnerState], tf.Tensor],
        meta_loss: Callable[[InnerState], tf.Tensor],
    ) -> InitializationStep:
        """Adapts and learns nothing."""
        return InitializationStep(None, adapt(theta, observe_nothing, ()))
