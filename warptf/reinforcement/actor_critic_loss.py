"""The loss of an actor and its critic."""

from typing import NamedTuple

import tensorflow as tf


class ActorCriticTerms(NamedTuple):
    r"""The terms of the loss, each a mean over the steps of all episodes, without its weight.

    Attributes:
        policy: $-\log \pi(a_t) (R_t - v_t)$, the advantage $R_t - v_t$ being a constant.
        value: $(R_t - v_t)^2$.
        concentration: $\sum_a \pi(a)^2$, smallest where all actions are as likely.
    """

    policy: tf.Tensor
    value: tf.Tensor
    concentration: tf.Tensor


def actor_critic_terms(
    logits: tf.Tensor,
    values: tf.Tensor,
    actions: tf.Tensor,
    returns: tf.Tensor,
    alive: tf.Tensor | None = None,
) -> ActorCriticTerms:
    r"""Returns the terms of the advantage actor-critic loss over whole episodes.

    Args:
        logits: of the policy, `[T, B, A]`.
        values: $v$, `[T, B]`.
        actions: the actions that were taken, `[T, B]`, integers.
        returns: $R$, `[T, B]`.
        alive: `[T, B]`, 1 for steps of an episode and 0 for what came after its end; all are steps
            if `None`.

    Raises:
        ValueError: the shapes do not go together.

    Example:
        >>> import tensorflow as tf, warptf
        >>> terms = warptf.reinforcement.actor_critic_terms(
        ...     tf.zeros((1, 1, 2)), [[1.0]], [[0]], [[3.0]])
        >>> [round(float(term), 3) for term in terms]   # 2 log 2, 2², 2 · ½²
        [1.386, 4.0, 0.5]

    Reference:
        Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, arXiv 1602.01783;
        arXiv 1909.00025, appendix I, for the penalty in place of an entropy.
    """
    logits, actions = tf.convert_to_tensor(logits), tf.convert_to_tensor(actions)
    values, returns = (tf.cast(t, logits.dtype) for t in (values, returns))
    shapes = {"logits": logits.shape[:-1], "actions": actions.shape, "returns": returns.shape}
    for name, shape in shapes.items():
        if not shape.is_compatible_with(values.shape) or shape.rank != 2:
            raise ValueError(
                f"{name} must be [T, B], as all but logits, [T, B, A], are; got {shape} beside "
                f"values {values.shape}."
            )
    log_policy = tf.nn.log_softmax(logits)
    chosen = tf.one_hot(actions, logits.shape[-1], dtype=log_policy.dtype)
    log_chosen = tf.reduce_sum(log_policy * chosen, axis=-1)
    advantage = returns - values
    by_step = ActorCriticTerms(
        policy=-log_chosen * tf.stop_gradient(advantage),
        value=advantage**2,
        concentration=tf.reduce_sum(tf.exp(2.0 * log_policy), axis=-1),
    )
    if alive is None:
        return ActorCriticTerms(*(tf.reduce_mean(term) for term in by_step))
    weight = tf.convert_to_tensor(alive, log_policy.dtype)
    total = tf.maximum(tf.reduce_sum(weight), 1.0)
    return ActorCriticTerms(*(tf.reduce_sum(weight * term) / total for term in by_step))
