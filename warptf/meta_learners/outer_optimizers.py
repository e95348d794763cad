"""The Keras optimizers of meta-training, each on its part of the variables."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

Part = tuple[keras.optimizers.Optimizer, Sequence[keras.Variable]]


class OuterOptimizers:
    r"""Moves $\phi$, $\theta_0$ and learned rates, each by its own Keras optimizer.

    The optimizers are built here, on just their own variables: built by Keras on all of them, their
    state would not fit when a saved meta-learner is loaded.

    Args:
        phi: optimizer and variables of the warp parameters.
        initialization: those of the initialisation.
        rates: those of the inner optimizer's learned values.

    Raises:
        ValueError: an optimizer gathers gradients by itself, which Keras cannot do on replicas, or
            scales losses by itself.
    """

    def __init__(self, phi: Part, initialization: Part, rates: Part) -> None:
        self._phi, self._initialization, self._rates = phi, initialization, rates
        for optimizer, variables in (phi, initialization, rates):
            _check_accumulation(optimizer)
            _check_scaling(optimizer)
            if not optimizer.built:
                optimizer.build(list(variables))

    def move_phi(self, gradients: Sequence[tf.Tensor]) -> None:
        """Applies mean gradients to the warp parameters."""
        _apply(*self._phi, gradients)

    def move_initialization(self, gradients: Sequence[tf.Tensor]) -> None:
        """Applies mean gradients to the initialisation."""
        _apply(*self._initialization, gradients)

    def move_rates(self, gradients: Sequence[tf.Tensor]) -> None:
        """Applies mean gradients to the learned rates."""
        _apply(*self._rates, gradients)


def optimizer_or_copy(optimizer: Any, original: keras.optimizers.Optimizer) -> Any:
    """Returns an optimizer as Keras resolves it, or where there is none a copy of another.

    Args:
        optimizer: a Keras optimizer, its name or configuration, or `None`.
        original: what to copy, without its state.
    """
    if optimizer is None:
        return keras.optimizers.deserialize(keras.optimizers.serialize(original))
    return keras.optimizers.get(optimizer)


def _check_accumulation(optimizer: keras.optimizers.Optimizer) -> None:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    steps = getattr(optimizer, "gradient_accumulation_steps", None)
    if steps and replicas > 1:
        raise ValueError(
            f"optimizer {optimizer.name!r} has gradient_accumulation_steps={steps}, which Keras "
            f"does not support on {replicas} replicas: give it to OnlineMetaLearner instead."
        )


def _check_scaling(optimizer: keras.optimizers.Optimizer) -> None:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            f"optimizer {optimizer.name!r} is a LossScaleOptimizer, but a meta-learner scales the "
            "losses of a model in float16 by itself: give it the optimizer that is within."
        )


def _apply(
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
    gradients: Sequence[Any],
) -> None:
    if not variables:
        return
    # Keras sums over replicas; the gradients here are means over each replica's tasks.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    scaled = [g / replicas for g in gradients] if replicas > 1 else list(gradients)
    # The optimizer counts its steps: not before there are gradients, for a step is begun before it
    # is known that the data have ended.
    with tf.control_dependencies(scaled):
        optimizer.apply(scaled, list(variables))
