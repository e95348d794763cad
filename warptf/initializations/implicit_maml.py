"""Implicit model-agnostic meta-learning."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from warptf.adaptation import (
    Adapted,
    Batch,
    LossOutput,
    Tensors,
    dense_gradient,
    gradient_along,
)
from warptf.initializations.conjugate_gradient import solve
from warptf.initializations.proximal_initialization import ProximalInitialization

SYSTEMS = ("exact", "damped")
# The constants of the authors' code: (1 + c) v + H v / (rho + 10).
_DAMPING, _EXTRA_WEIGHT = 1.0, 10.0


class ImplicitMAML(ProximalInitialization):
    r"""iMAML: the meta-gradient from the end of adaptation alone.

    At $\theta^*$, the minimum of $L_{task}(\theta) + \frac{\rho}{2} \|\theta - \theta_0\|^2$, the
    gradient of $L_{meta}(\theta^*)$ with respect to $\theta_0$ is the $g$ that solves $(I + H /
    \rho) g = \nabla L_{meta}(\theta^*)$ with $H = \nabla^2 L_{task}(\theta^*)$. The inner steps
    are not differentiated, so that memory does not grow with $K$; the gradient is as good as
    $\theta_K$ is near $\theta^*$. $H$ is that of the last step's batch. The system is solved by
    conjugate gradient with Hessian-vector products; where the loss is curved downwards along a
    search direction it stops, and where that is the first one, $\nabla L_{meta}$ itself is taken.

    Args:
        proximal_weight: $\rho > 0$, the weight of the regularisation. Defaults to 1.
        conjugate_gradient_steps: steps of conjugate gradient at most. Defaults to 5.
        system: `"exact"`, as above, or `"damped"`, $(2 I + H / (\rho + 10)) g = \nabla L_{meta}$,
            which the authors' code solves. Defaults to `"exact"`.

    Raises:
        ValueError: a number out of range, or an unknown system.

    Example:
        >>> import warptf
        >>> warptf.initializations.ImplicitMAML(2.0).differentiates_adaptation
        False

    Reference:
        Rajeswaran et al., Meta-Learning with Implicit Gradients, arXiv 1909.04630.
    """

    def __init__(
        self,
        proximal_weight: float = 1.0,
        conjugate_gradient_steps: int = 5,
        system: str = "exact",
    ) -> None:
        super().__init__(proximal_weight)
        if not isinstance(conjugate_gradient_steps, int) or conjugate_gradient_steps < 1:
            raise ValueError(
                "conjugate_gradient_steps must be a whole number of at least 1, got "
                f"{conjugate_gradient_steps!r}."
            )
        if system not in SYSTEMS:
            raise ValueError(f"system must be one of {SYSTEMS}, got {system!r}.")
        self.conjugate_gradient_steps = conjugate_gradient_steps
        self.system = system

    @property
    def differentiates_gradient_by(self) -> tuple[str, ...]:
        r"""By which of `"theta"` and `"phi"` the gradient of the task loss is differentiated."""
        return ("theta",)

    @property
    def first_order_alternative(self) -> str:
        """What to use for models whose gradient cannot be differentiated, for messages."""
        return "FirstOrderBilevelMAML()"

    def end(self, adapted: Adapted, carry: Any) -> Tensors:
        r"""Returns the implicit gradient at $\theta_K$."""
        source, problem = adapted.final.moving, adapted.problem

        def gradient_of(loss: Callable[..., LossOutput], batch: Batch) -> Tensors:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(source)
                value = loss(adapted.final.moved(source), adapted.start.shared, batch).loss
            return dense_gradient(tape, value, source)

        # Persistent: the gradient is recorded once, each product differentiates it again.
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(source)
            task_gradient = gradient_of(problem.loss_at, adapted.last.task)

        def product(v: Tensors) -> Tensors:
            return self._system(v, gradient_along(tape, task_gradient, source, v))

        right = gradient_of(problem.meta_loss_at, adapted.last.meta)
        solution = solve(product, right, self.conjugate_gradient_steps)
        # Context is solved for together with theta, but has no initialisation to learn.
        return adapted.final.moved(solution).theta

    def _system(self, v: Tensors, hessian_v: Tensors) -> Tensors:
        if self.system == "exact":
            own, weight = 1.0, self.proximal_weight
        else:
            own, weight = 1.0 + _DAMPING, self.proximal_weight + _EXTRA_WEIGHT
        return [
            tf.constant(own, a.dtype) * a + hv / tf.constant(weight, a.dtype)
            for a, hv in zip(v, hessian_v, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "conjugate_gradient_steps": self.conjugate_gradient_steps,
            "system": self.system,
        }
