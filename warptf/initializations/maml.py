"""Model-agnostic meta-learning."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from warptf.adaptation import (
    Adapted,
    LossOutput,
    TaskAdaptation,
    Tensors,
    adapt,
    dense_gradient,
)
from warptf.initializations.initialization import Initialization, InitializationStep
from warptf.needs import Need


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
    def needs(self) -> Sequence[Need]:
        """The ways in which it can be learned."""
        return (Need.INNER_LOOP if self.first_order else Need.WHOLE_ADAPTATION,)

    @property
    def differentiated(self) -> Callable[[Adapted], LossOutput] | None:
        """The meta loss after adaptation."""
        return None if self.first_order else Adapted.final_loss

    def learn(self, task: TaskAdaptation) -> InitializationStep:
        """Adapts and returns the gradient of the meta loss after it."""
        if self.first_order:
            return super().learn(task)
        theta = list(task.parameters.theta)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(theta)
            start = task.start(task.parameters._replace(theta=theta))
            adapted = adapt(
                task.problem, start, task.batches, task.steps, task.step, task.observers
            )
            loss = adapted.final_loss().loss
        return InitializationStep(dense_gradient(tape, loss, theta), adapted)

    def end(self, adapted: Adapted, carry: Any) -> Tensors:
        r"""Returns the gradient of the meta loss at $\theta_K$, as it is."""
        theta = list(adapted.final.theta)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(theta)
            state, shared = adapted.final._replace(theta=theta), adapted.start.shared
            loss = adapted.problem.meta_loss_at(state, shared, adapted.last.meta).loss
        return dense_gradient(tape, loss, theta)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"first_order": self.first_order}
