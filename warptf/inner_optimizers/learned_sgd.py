"""Gradient descent whose rate and momentum are meta-learned."""

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
from warptf.inner_optimizers.layer_numbers import layer_numbers
from warptf.inner_optimizers.sgd import sgd_update

GRANULARITIES = ("scalar", "layer", "parameter")


class LearnedSGD(InnerOptimizer):
    r"""Gradient descent with meta-learned rate $\alpha$ and momentum $\mu$.

    $m_{k+1} = \mu m_k - \alpha g_k$, $\theta_{k+1} = \theta_k + m_{k+1}$; $\alpha$ and $\mu$ are
    learned together with the warp parameters, from the meta loss after each look-ahead step.

    Args:
        learning_rate: where $\alpha$ starts. Defaults to 0.1.
        momentum: where $\mu$ starts, in [0, 1). Defaults to 0.
        granularity: `"scalar"` for one pair $(\alpha, \mu)$, `"layer"` for one per layer (its
            kernel and bias share it), `"parameter"` for one per entry of each parameter.
            Defaults to `"scalar"`.
        learn_momentum: whether $\mu$ is learned too. Defaults to `True`.
        nesterov: whether to use Nesterov's variant. Defaults to `False`.
        meta_gradient_clip: the joint norm to which the meta-gradient of $\alpha$ and $\mu$ is
            clipped, or `None`. The paper's ablation used 0.001. Defaults to `None`.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import keras, tensorflow as tf, warptf
        >>> learned = warptf.inner_optimizers.LearnedSGD(0.5, granularity="layer")
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> learned.build_for(model.trainable_variables)
        >>> len(learned.trainable_variables)   # a rate and a momentum for the one layer
        2

    Reference:
        arXiv 1909.00025, table 3 ("learned alpha"); Li et al., Meta-SGD, arXiv 1707.09835.
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.0,
        granularity: str = "scalar",
        learn_momentum: bool = True,
        nesterov: bool = False,
        meta_gradient_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if granularity not in GRANULARITIES:
            raise ValueError(f"granularity must be one of {GRANULARITIES}, got {granularity!r}.")
        if meta_gradient_clip is not None and not meta_gradient_clip > 0:
            raise ValueError(f"meta_gradient_clip must be above 0, got {meta_gradient_clip}.")
        self.learning_rate = check_rate("learning_rate", learning_rate)
        self.momentum = check_rate("momentum", momentum, below=1.0)
        self.granularity = granularity
        self.learn_momentum = bool(learn_momentum)
        self.nesterov = bool(nesterov)
        self.meta_gradient_clip = meta_gradient_clip
        self._group_of: list[int] = []

    def build_for(self, theta_variables: Sequence[keras.Variable]) -> None:
        """Creates the rates and momenta for the variables that will be adapted."""
        if self.built:
            return
        self._group_of, shapes = _groups(theta_variables, self.granularity)
        self._rates = [
            self._hyper(f"rate_{i}", shape, self.learning_rate) for i, shape in enumerate(shapes)
        ]
        self._momenta = [
            self._hyper(f"momentum_{i}", shape, self.momentum)
            for i, shape in enumerate(shapes)
            if self.learn_momentum
        ]
        self.built = True

    def _hyper(self, name: str, shape: tuple[int, ...], start: float) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, initializer=keras.initializers.Constant(start)
        )

    def clip(self, gradients: Tensors) -> Tensors:
        """Returns the meta-gradient clipped to `meta_gradient_clip` by its joint norm."""
        if self.meta_gradient_clip is None:
            return gradients
        return list(tf.clip_by_global_norm(gradients, self.meta_gradient_clip)[0])

    def init(self, theta: Sequence[tf.Tensor], seed: tf.Tensor | None = None) -> Tensors:
        """Returns zero velocities."""
        return [tf.zeros_like(t) for t in theta]

    def update(
        self,
        theta: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
    ) -> InnerUpdate:
        """Returns the step with the rates and momenta in `hyper`."""
        if not self.built:
            raise ValueError(
                f"{self.name!r} has no rates yet: call build_for() on the variables to adapt, as a "
                "meta-learner does with its own."
            )
        count = len(self._rates)
        rates = [hyper[group] for group in self._group_of]
        if self.learn_momentum:
            momenta: list[Any] = [hyper[count + group] for group in self._group_of]
        else:
            momenta = [self.momentum] * len(rates)
        return sgd_update(theta, gradients, state, rates, momenta, self.nesterov)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "granularity": self.granularity,
            "learn_momentum": self.learn_momentum,
            "nesterov": self.nesterov,
            "meta_gradient_clip": self.meta_gradient_clip,
        }


def _groups(
    variables: Sequence[keras.Variable], granularity: str
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Returns the group of each variable, and the shape of each group's rate."""
    if granularity == "scalar":
        return [0] * len(variables), [()]
    if granularity == "parameter":
        return list(range(len(variables))), [tuple(v.shape) for v in variables]
    groups = layer_numbers(variables)
    return groups, [()] * (groups[-1] + 1)
