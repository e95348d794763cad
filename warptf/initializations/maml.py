"""Model-agnostic meta-learning."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from warptf.adaptation import InnerState, dense_gradient
from warptf.initializations.initialization import (
    AdaptFunction,
    Initialization,
    InitializationStep,
    Tensors,
    observe_nothing,
)


class MAML(Initialization):
    r"""MAML: $C(\theta_0) = \sum_\tau L_{meta}(\theta_K)$.

    Differentiated through all $K$ steps, so that memory grows with $K$; or, first order, the
    gradient of $L_{meta}$ at $\theta_K$ passed to $\theta_0$ as it is. Warp parameters take no
    gradient from it.

    Args:
        first_order: whether to drop the derivatives of the inner steps. Defaults to `False`.

    Example:
        >>> import warptf
        >>> warptf.initializations.MAML(first_order=True).differentiates_adaptation
        False

    Reference:
        Finn et al., Model-Agnostic Meta-Learning, arXiv 1703.03400.
    """

    def __init__(self, first_order: bool = False) -> None:
        self.first_order = bool(first_order)

    @property
    def differentiates_adaptation(self) -> bool:
        """Whether gradients are taken through the inner steps."""
        return not self.first_order

    def learn(
        self,
        adapt: AdaptFunction,
        theta: Tensors,
        task_loss: Callable[[InnerState], tf.Tensor],
        meta_loss: Callable[[InnerState], tf.Tensor],
    ) -> InitializationStep:
        """Adapts and returns the gradient of the meta loss after it."""
        if self.first_order:
            adapted = adapt(theta, observe_nothing, ())
            source = list(adapted.final.theta)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(source)
                loss = meta_loss(adapted.final._replace(theta=source))
        else:
            source = list(theta)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(source)
                adapted = adapt(source, observe_nothing, ())
                loss = meta_loss(adapted.final)
        gradient = dense_gradient(tape, loss, source)
        # Behind the task parameters, theta_K holds adapted context, which has no part in this.
        return InitializationStep(gradient[: len(theta)], adapted)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"first_order": self.first_order}
