"""Adam as an inner optimizer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.inner_optimizers.inner_optimizer import (
    InnerOptimizer,
    InnerUpdate,
    Tensors,
    check_rate,
)


class Adam(InnerOptimizer):
    r"""Adam, differentiable everywhere.

    $m_{k+1} = \beta_1 m_k + (1-\beta_1) g_k$, $v_{k+1} = \beta_2 v_k + (1-\beta_2) g_k^2$,
    $\theta_{k+1} = \theta_k - \alpha \hat m_{k+1} / (\sqrt{\hat v_{k+1}} + \epsilon)$ with
    $\hat m_k = m_k / (1-\beta_1^k)$, $\hat v_k = v_k / (1-\beta_2^k)$, from zeros for every task.

    Where a gradient has been exactly zero so far, $\hat v = 0$ and its root has no derivative:
    the step there is zero, and so is its derivative here, instead of NaN.

    Args:
        learning_rate: $\alpha \ge 0$. Defaults to 0.001.
        beta_1: decay of the first moment, in [0, 1). Defaults to 0.9.
        beta_2: decay of the second moment, in [0, 1). Defaults to 0.999.
        epsilon: $\epsilon \ge 0$, added to the root. Defaults to 1e-7.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import tensorflow as tf, warptf
        >>> adam = warptf.inner_optimizers.Adam(0.1)
        >>> theta = [tf.constant([1.0, 2.0])]
        >>> step = adam.update(theta, [tf.constant([3.0, 0.0])], adam.init(theta), [])
        >>> step.theta[0].numpy().round(3)
        array([0.9, 2. ], dtype=float32)

    Reference:
        Kingma and Ba, arXiv 1412.6980, algorithm 1.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_rate("learning_rate", learning_rate)
        self.beta_1 = check_rate("beta_1", beta_1, below=1.0)
        self.beta_2 = check_rate("beta_2", beta_2, below=1.0)
        self.epsilon = check_rate("epsilon", epsilon)

    def init(self, theta: Sequence[tf.Tensor], seed: tf.Tensor | None = None) -> Tensors:
        """Returns zero moments, first all $m$, then all $v$, then the step count."""
        zeros = [tf.zeros_like(t) for t in theta]
        return [*zeros, *zeros, tf.zeros([], tf.float32)]

    def update(
        self,
        theta: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
    ) -> InnerUpdate:
        """Returns Adam's step."""
        n = len(theta)
        count = state[-1] + 1.0
        means = [
            self.beta_1 * m + (1 - self.beta_1) * g
            for m, g in zip(state[:n], gradients, strict=True)
        ]
        squares = [
            self.beta_2 * v + (1 - self.beta_2) * tf.square(g)
            for v, g in zip(state[n : 2 * n], gradients, strict=True)
        ]
        moved = [
            self._step(t, m, v, tf.cast(count, t.dtype))
            for t, m, v in zip(theta, means, squares, strict=True)
        ]
        return InnerUpdate(moved, [*means, *squares, count])

    def _step(self, theta: tf.Tensor, mean: tf.Tensor, square: tf.Tensor, count: tf.Tensor) -> Any:
        beta_1, beta_2 = (
            tf.constant(self.beta_1, theta.dtype),
            tf.constant(self.beta_2, theta.dtype),
        )
        mean_hat = mean / (1 - tf.pow(beta_1, count))
        square_hat = square / (1 - tf.pow(beta_2, count))
        # The root is taken of a safe number where v is 0, since 0 * inf is NaN in its gradient.
        seen = square_hat > 0
        root = tf.where(seen, tf.sqrt(tf.where(seen, square_hat, tf.ones_like(square_hat))), 0.0)
        denominator = tf.where(seen, root + self.epsilon, tf.ones_like(root))
        return theta - self.learning_rate * tf.where(seen, mean_hat / denominator, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
