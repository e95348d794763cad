"""Gradient descent on a learned, random subset of the units."""

import math
import numbers
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

# The smallest positive number of single precision: the logarithm of a draw stays finite.
_SMALLEST = 2.0**-126


class MaskedSGD(InnerOptimizer):
    r"""Gradient descent on the units that a learned binary mask lets move, as in MT-Nets.

    $\theta_{k+1} = \theta_k - \alpha M \odot g_k$. $M$ has one entry per output unit, the last axis
    of a kernel; a bias of that size in the same layer shares it. It is drawn once per task, in
    `init`, and serves all steps: $M = [\zeta + l > 0]$ with logistic noise $l$, the difference of
    two Gumbel variables, so that $P(M = 1) = \sigma(\zeta)$. The logits $\zeta$ are learned
    together with the warp parameters, by a straight-through gradient: $M$ is differentiated as if
    it were $\sigma((\zeta + l) / T)$.

    Args:
        learning_rate: $\alpha \ge 0$. Defaults to 0.1.
        initial_logit: where all $\zeta$ start. Defaults to 2: 88 % of the units move at first,
            and $\sigma'(\zeta)$, to which the gradient of a logit is proportional, is still 42 %
            of its maximum, so that logits can be learned in both directions. Much larger ones
            start closer to plain descent, but hardly learn.
        temperature: $T > 0$. Defaults to 1, where the relaxed mask is as smooth as the
            distribution of the noise. Lower ones bring the mean of the gradient closer to the
            derivative of $P(M = 1)$, and scatter it more.

    Raises:
        TypeError: an argument is no number.
        ValueError: an argument out of range; no seed in `init`.

    Example:
        >>> import keras, tensorflow as tf, warptf
        >>> masked = warptf.inner_optimizers.MaskedSGD(0.5)
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> masked.build_for(model.trainable_variables)
        >>> [tuple(logits.shape) for logits in masked.trainable_variables]
        [(3,)]
        >>> theta, noise = [tf.zeros([2, 3]), tf.zeros([3])], [tf.constant([0.0, -9.0, 1.0])]
        >>> gradients = [tf.ones_like(t) for t in theta]
        >>> masked.update(theta, gradients, noise, masked.hyper_values()).theta[1].numpy()
        array([-0.5,  0. , -0.5], dtype=float32)

    Reference:
        Lee and Choi, Gradient-Based Meta-Learning with Learned Layerwise Metric and Subspace,
        arXiv 1801.05558, section 3 (MT-Nets); Jang et al., arXiv 1611.01144, and Bengio et al.,
        arXiv 1308.3432 (straight-through gradients).
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        initial_logit: float = 2.0,
        temperature: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_rate("learning_rate", learning_rate)
        self.initial_logit = _finite("initial_logit", initial_logit)
        self.temperature = _finite("temperature", temperature)
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}.")
        self._group_of: list[int] = []

    def build_for(self, theta_variables: Sequence[keras.Variable]) -> None:
        """Creates the logits for the variables that will be adapted."""
        if self.built:
            return
        self._group_of, sizes = _groups(theta_variables)
        self._logits = [
            self.add_weight(
                name=f"logits_{i}",
                shape=(size,),
                initializer=keras.initializers.Constant(self.initial_logit),
            )
            for i, size in enumerate(sizes)
        ]
        self.built = True

    def init(self, theta: Sequence[tf.Tensor], seed: tf.Tensor | None = None) -> Tensors:
        """Draws the task's noise, one tensor per mask.

        Args:
            theta: where adaptation starts.
            seed: two integers, different for each task.

        Raises:
            ValueError: there is no seed, or no logits yet.
        """
        self._check_built()
        if seed is None:
            raise ValueError(
                f"{self.name!r} draws a task's mask when adaptation starts: give init() a seed, "
                "two integers that differ from task to task."
            )
        noise = []
        for group, logits in enumerate(self._logits):
            dtype = theta[self._group_of.index(group)].dtype
            folded = tf.random.experimental.stateless_fold_in(seed, group)
            noise.append(_logistic(logits.shape, folded, dtype))
        return noise

    def update(
        self,
        theta: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
    ) -> InnerUpdate:
        """Returns the step of the units that move; the noise in `state` stays."""
        self._check_built()
        masks = [self._mask(logits, noise) for logits, noise in zip(hyper, state, strict=True)]
        rates = [self.learning_rate * masks[group] for group in self._group_of]
        # A scalar's mask has one entry; its rate must have no axis.
        shapes = [t.shape.as_list()[-1:] for t in theta]
        rates = [tf.reshape(rate, shape) for rate, shape in zip(rates, shapes, strict=True)]
        return sgd_update(theta, gradients, state, rates, None, nesterov=False)

    def _mask(self, logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        shifted = tf.cast(logits, noise.dtype) + noise
        soft = tf.sigmoid(shifted / self.temperature)
        hard = tf.cast(shifted > 0, noise.dtype)
        # In value the last two cancel exactly, in derivative the first is a constant.
        return hard + (soft - tf.stop_gradient(soft))

    def _check_built(self) -> None:
        if not self.built:
            raise ValueError(
                f"{self.name!r} has no masks yet: call build_for() on the variables to adapt, as a "
                "meta-learner does with its own."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "initial_logit": self.initial_logit,
            "temperature": self.temperature,
        }


def _groups(variables: Sequence[keras.Variable]) -> tuple[list[int], list[int]]:
    """Returns the mask of each variable, and the number of units of each mask."""
    groups: list[int] = []
    sizes: list[int] = []
    previous = None
    for variable, layer in zip(variables, layer_numbers(variables), strict=True):
        size = (1, *variable.shape)[-1]
        if (layer, size) != previous:
            sizes.append(size)
        previous = layer, size
        groups.append(len(sizes) - 1)
    return groups, sizes


def _logistic(shape: Sequence[int], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns logistic noise, drawn in single precision whatever the type."""
    u = tf.random.stateless_uniform(shape, seed, minval=_SMALLEST, maxval=1.0)
    return tf.cast(tf.math.log(u) - tf.math.log1p(-u), dtype)


def _finite(name: str, value: float) -> float:
    """Returns `value` as a float if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value}.")
    return float(value)
