"""The base class of inner optimizers."""

import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class

Tensors = list[tf.Tensor]


class InnerUpdate(NamedTuple):
    """The outcome of one inner update.

    Attributes:
        theta: the stepped task parameters.
        state: the optimizer's new state.
    """

    theta: Tensors
    state: Tensors


class InnerOptimizer(keras.layers.Layer):
    r"""A pure, differentiable update rule $\theta_{k+1} = u(\theta_k, g_k; m_k, \psi)$.

    Nothing is assigned in an update: task parameters and the rule's own state $m$ go in and come
    out as tensors, so that one step, or a whole adaptation, can be differentiated. Learned
    hyper-parameters $\psi$, if any, are the weights of the layer and are given to `update` as
    tensors too. It is a Keras layer only so that they are tracked and saved with the meta-learner.

    Subclasses implement `update`, `get_config` and, where they keep state, `init`; those with
    learned hyper-parameters create them in `build_for`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    @property
    def proximal_weight(self) -> float | None:
        r"""The weight $\rho$ of a pull to where adaptation started; `None` where there is none."""
        return None

    def build_for(self, theta_variables: Sequence[keras.Variable]) -> None:
        """Creates the learned hyper-parameters, given the variables that will be adapted."""
        self.built = True

    def hyper_values(self) -> Tensors:
        r"""Returns the values of the learned hyper-parameters $\psi$."""
        return [tf.convert_to_tensor(v.value) for v in self.trainable_variables]

    def clip(self, gradients: Tensors) -> Tensors:
        r"""Returns the meta-gradient with respect to $\psi$ as the outer optimizer shall see it."""
        return gradients

    def init(self, theta: Sequence[tf.Tensor], seed: tf.Tensor | None = None) -> Tensors:
        """Returns the state with which adaptation to a task starts.

        Args:
            theta: where adaptation starts.
            seed: two integers, different for each task, from which a rule that draws random
                numbers derives them all; `None` suits the rules that draw none.
        """
        return []

    def update(
        self,
        theta: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
    ) -> InnerUpdate:
        r"""Returns $\theta_{k+1}$ and the new state.

        Args:
            theta: task parameters $\theta_k$.
            gradients: their gradients, same shapes.
            state: what `init` or the previous update returned.
            hyper: values of the learned hyper-parameters, as `hyper_values` returns them.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement update().")

    def call(self, inputs: Any) -> Any:
        """Refuses to be called: an update rule is no part of a network."""
        raise TypeError(f"{type(self).__name__} is an inner optimizer; use its update() method.")


def check_rate(name: str, value: float, below: float = float("inf")) -> float:
    """Returns `value` as a float if it lies in [0, below).

    Args:
        name: the argument's name, for the message.
        value: the value received.
        below: the bound it must stay under.

    Raises:
        TypeError: it is no number.
        ValueError: it is out of range, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number in [0, {below}), got {value!r}.")
    if not 0.0 <= value < below:
        raise ValueError(f"{name} must be a number in [0, {below}), got {value}.")
    return float(value)
