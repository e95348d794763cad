"""Stochastic gradient descent as an inner optimizer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.inner_optimizers.inner_optimizer import (
    InnerOptimizer,
    InnerUpdate,
    Tensors,
    check_rate,
)


def sgd_update(
    theta: Sequence[tf.Tensor],
    gradients: Sequence[tf.Tensor],
    velocity: Sequence[tf.Tensor],
    rates: Sequence[Any],
    momenta: Sequence[Any] | None,
    nesterov: bool,
) -> InnerUpdate:
    r"""Returns the step of gradient descent, with Keras' convention for momentum.

    $m_{k+1} = \mu m_k - \alpha g_k$; $\theta_{k+1} = \theta_k + m_{k+1}$, or
    $\theta_k + \mu m_{k+1} - \alpha g_k$ with Nesterov's variant.

    Args:
        theta: task parameters.
        gradients: their gradients.
        velocity: $m_k$, one per parameter; unused without momentum.
        rates: $\alpha$, one per parameter, scalars or of the parameter's shape.
        momenta: $\mu$, one per parameter, or `None` for plain descent.
        nesterov: whether to look ahead along the velocity.
    """
    steps = [-_as(a, g.dtype) * g for a, g in zip(rates, gradients, strict=True)]
    if momenta is None:
        moved = [t + step for t, step in zip(theta, steps, strict=True)]
        return InnerUpdate(moved, list(velocity))
    mus = [_as(mu, t.dtype) for mu, t in zip(momenta, theta, strict=True)]
    new = [mu * m + step for mu, m, step in zip(mus, velocity, steps, strict=True)]
    if nesterov:
        moves = [mu * m + step for mu, m, step in zip(mus, new, steps, strict=True)]
    else:
        moves = new
    return InnerUpdate([t + move for t, move in zip(theta, moves, strict=True)], new)


def _as(value: Any, dtype: tf.DType) -> tf.Tensor:
    """Returns a number or a tensor in a type; `tf.cast` would round numbers to single precision."""
    return tf.cast(value, dtype) if tf.is_tensor(value) else tf.constant(value, dtype)


class SGD(InnerOptimizer):
    r"""Gradient descent, $\theta_{k+1} = \theta_k - \alpha g_k$, with optional momentum.

    With momentum $\mu$: $m_{k+1} = \mu m_k - \alpha g_k$, $\theta_{k+1} = \theta_k + m_{k+1}$
    (Nesterov: $\theta_k + \mu m_{k+1} - \alpha g_k$), from $m_0 = 0$ for every task.

    Args:
        learning_rate: $\alpha \ge 0$. Defaults to 0.1.
        momentum: $\mu \in [0, 1)$. Defaults to 0.
        nesterov: whether to use Nesterov's variant. Defaults to `False`.

    Raises:
        ValueError: a rate or momentum out of range.

    Example:
        >>> import tensorflow as tf, warptf
        >>> sgd = warptf.inner_optimizers.SGD(0.5)
        >>> theta = [tf.constant([1.0, 2.0])]
        >>> sgd.update(theta, [tf.constant([1.0, 1.0])], sgd.init(theta), []).theta[0].numpy()
        array([0.5, 1.5], dtype=float32)

    Reference:
        arXiv 1909.00025, section 2.
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_rate("learning_rate", learning_rate)
        self.momentum = check_rate("momentum", momentum, below=1.0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0.")

    def init(self, theta: Sequence[tf.Tensor], seed: tf.Tensor | None = None) -> Tensors:
        """Returns zero velocities, or nothing without momentum."""
        return [tf.zeros_like(t) for t in theta] if self.momentum else []

    def update(
        self,
        theta: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
    ) -> InnerUpdate:
        """Returns the step of gradient descent."""
        rates = [self.learning_rate] * len(theta)
        momenta = [self.momentum] * len(theta) if self.momentum else None
        return sgd_update(theta, gradients, state, rates, momenta, self.nesterov)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }
