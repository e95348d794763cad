"""An inner optimizer that is pulled back to where adaptation started."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.inner_optimizers.inner_optimizer import (
    InnerOptimizer,
    InnerUpdate,
    Tensors,
    check_rate,
)


class Proximal(InnerOptimizer):
    r"""Another update rule, pulled back to where adaptation started.

    It descends $L_{task}(\theta) + \frac{\rho}{2} \|\theta - \theta_0\|^2$: the rule is given
    $g_k + \rho (\theta_k - \theta_0)$ in place of the gradient $g_k$. $\theta_0$, where adaptation
    to the task started, is kept in the state. Context variables, which start from zero, are pulled
    back to zero.

    Args:
        optimizer: the update rule.
        weight: $\rho \ge 0$.

    Raises:
        TypeError: `optimizer` is no inner optimizer, or `weight` no number.
        ValueError: a weight out of range.

    Example:
        >>> import tensorflow as tf, warptf
        >>> rule = warptf.inner_optimizers.Proximal(warptf.inner_optimizers.SGD(0.5), weight=1.0)
        >>> state, no_gradient = rule.init([tf.constant([0.0])]), [tf.constant([0.0])]
        >>> rule.update([tf.constant([4.0])], no_gradient, state, []).theta[0].numpy()
        array([2.], dtype=float32)

    Reference:
        Rajeswaran et al., Meta-Learning with Implicit Gradients, arXiv 1909.04630, equation 3.
    """

    def __init__(self, optimizer: InnerOptimizer, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(optimizer, InnerOptimizer):
            raise TypeError(f"optimizer must be an InnerOptimizer, got {optimizer!r}.")
        self.rule = optimizer
        self.weight = check_rate("weight", weight)

    @property
    def proximal_weight(self) -> float | None:
        r"""The weight $\rho$ of the pull."""
        return self.weight

    def build_for(self, theta_variables: Sequence[keras.Variable]) -> None:
        """Creates the rule's learned hyper-parameters."""
        self.rule.build_for(theta_variables)
        self.built = True

    def clip(self, gradients: Tensors) -> Tensors:
        """Returns the meta-gradient as the rule clips it."""
        return self.rule.clip(gradients)

    def init(self, theta: Sequence[tf.Tensor], seed: tf.Tensor | None = None) -> Tensors:
        r"""Returns $\theta_0$ and the rule's own state."""
        return [*theta, *self.rule.init(theta, seed)]

    def update(
        self,
        theta: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
    ) -> InnerUpdate:
        """Returns the rule's step along the regularised gradient."""
        anchor, own = list(state[: len(theta)]), state[len(theta) :]
        regularised = [
            g + tf.constant(self.weight, t.dtype) * (t - a)
            for g, t, a in zip(gradients, theta, anchor, strict=True)
        ]
        moved = self.rule.update(theta, regularised, own, hyper)
        return InnerUpdate(moved.theta, [*anchor, *moved.state])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "optimizer": keras.saving.serialize_keras_object(self.rule),
            "weight": self.weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Proximal":
        """Builds the optimizer from its configuration."""
        rule = keras.saving.deserialize_keras_object(config["optimizer"])
        return cls(**{**config, "optimizer": rule})
