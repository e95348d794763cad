"""Checks, before training, that what a meta-learner differentiates twice can be."""

from typing import Any

import tensorflow as tf

from warptf.adaptation import InnerProblem, dense_gradient, take_step
from warptf.second_derivatives import check_second_derivatives

Tensors = list[tf.Tensor]


def check_derivatives(
    problem: InnerProblem, parts: dict[str, Any], support: Any, has_steps: bool
) -> None:
    """Checks the second derivatives that an objective and an initialisation need, if any.

    Args:
        problem: the inner problem.
        parts: the objective and the initialisation by the names of their arguments; `None` where
            there is none.
        support: the support sets of a meta-batch.
        has_steps: whether they have a step axis.

    Raises:
        ValueError: the model, or the loss, has an operation without a right derivative.
    """
    needing = {
        name: part for name, part in parts.items() if part and part.differentiates_gradient_by
    }
    learner = problem.learner
    values = {
        "theta": _specs(learner.theta_variables),
        "phi": _specs(learner.partition.warp_variables),
    }
    wanted = {by for part in needing.values() for by in part.differentiates_gradient_by}
    by = [name for name, specs in values.items() if name in wanted and specs]
    if not by:
        return

    def loss(values: dict[str, Tensors], state: Tensors, support: Any) -> tf.Tensor:
        one = tf.nest.map_structure(lambda t: t[0], support)
        batch = take_step(one, tf.constant(0), has_steps)
        return problem.loss(values["theta"], values["phi"], state, batch).loss

    def loss_and_gradient(values: dict[str, Tensors], *rest: Any) -> tuple[tf.Tensor, Tensors]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values["theta"])
            value = loss(values, *rest)
        return value, dense_gradient(tape, value, values["theta"])

    support = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), support)
    check_second_derivatives(
        learner.model,
        loss,
        loss_and_gradient,
        (values, _specs(learner.partition.state_variables), support),
        by,
        " and ".join(f"{name}={type(part).__name__}" for name, part in needing.items()),
        " and ".join(f"{part.first_order_alternative} as {name}" for name, part in needing.items()),
    )


def _specs(variables: Any) -> list[tf.TensorSpec]:
    return [tf.TensorSpec(v.shape, v.dtype) for v in variables]
