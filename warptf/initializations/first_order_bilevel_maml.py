"""First-order bilevel MAML."""

import functools
from typing import Any

import tensorflow as tf

from warptf.adaptation import Adapted, Tensors, adapt, plain
from warptf.initializations.proximal_initialization import (
    ProximalInitialization,
    positive_number,
)


class FirstOrderBilevelMAML(ProximalInitialization):
    r"""FO-B-MAML: the implicit meta-gradient from two or three adaptations, without Hessians.

    With $\theta_\nu = \arg\min_\theta L_{task}(\theta) + \frac{\rho}{2} \|\theta - \theta_0\|^2 +
    \nu L_{meta}(\theta)$ the gradient is estimated by $g \approx \rho (\theta_{\nu=0} -
    \theta_\nu) / \nu$ (forward) or $g \approx \rho (\theta_{-\nu} - \theta_\nu) / 2\nu$
    (symmetric). Both equal the gradient of implicit MAML as $\nu \to 0$, with errors $O(\nu)$ and
    $O(\nu^2)$. The minima are approached by $K$ inner steps on the same mini-batches. Only first
    derivatives are taken, and memory does not grow with $K$.

    The MAML objective's smoothness constant grows with the norm of its gradient, so that the outer
    step should be clipped or normalised, with momentum: `keras.optimizers.SGD(rate, momentum,
    global_clipnorm=c)` clips; with `c` far below the gradient's norm it steps by a normalised
    gradient of length `c`.

    Args:
        proximal_weight: $\rho > 0$, the weight of the regularisation. Defaults to 1.
        perturbation: $\nu > 0$. In single precision, far smaller values than the default lose the
            difference in rounding. Defaults to 0.01.
        symmetric: whether to use the symmetric estimate, at the cost of one more adaptation.
            Defaults to `False`.

    Raises:
        ValueError: a number that is not positive and finite.

    Example:
        >>> import warptf
        >>> warptf.initializations.FirstOrderBilevelMAML(symmetric=True).get_config()
        {'proximal_weight': 1.0, 'perturbation': 0.01, 'symmetric': True}

    Reference:
        Chayti and Jaggi, A New First-Order Meta-Learning Algorithm with Convergence Guarantees,
        arXiv 2409.03682.
    """

    def __init__(
        self, proximal_weight: float = 1.0, perturbation: float = 0.01, symmetric: bool = False
    ) -> None:
        super().__init__(proximal_weight)
        self.perturbation = positive_number("perturbation", perturbation)
        self.symmetric = bool(symmetric)

    def end(self, adapted: Adapted, carry: Any) -> Tensors:
        r"""Adapts again with the perturbation, and returns the difference's estimate."""
        nu = self.perturbation
        ahead = self._perturbed(adapted, nu)
        behind, width = adapted.final.theta, nu
        if self.symmetric:
            behind, width = self._perturbed(adapted, -nu), 2.0 * nu
        scale = self.proximal_weight / width
        return [tf.constant(scale, b.dtype) * (b - a) for a, b in zip(ahead, behind, strict=True)]

    def _perturbed(self, adapted: Adapted, nu: float) -> Tensors:
        r"""Returns $\theta_\nu$, from the same start by steps on the same mini-batches."""
        step = functools.partial(plain, meta_weight=nu)
        again = adapt(adapted.problem, adapted.start, adapted.batches, adapted.steps, step)
        return again.final.theta

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "perturbation": self.perturbation,
            "symmetric": self.symmetric,
        }
