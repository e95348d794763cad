"""What is still to be earned at each step."""

import tensorflow as tf


def discounted_returns(rewards: tf.Tensor, discount: float) -> tf.Tensor:
    r"""Returns the discounted sum of the rewards from each step to the episode's end.

    $R_t = r_t + \gamma R_{t+1}$, $R_{T} = 0$: nothing is added for what an episode cut short might
    still have brought.

    Args:
        rewards: $r$, `[T, B]`: `T` steps of `B` episodes, zero after an episode's end.
        discount: $\gamma$, from 0 to 1.

    Returns:
        $R$, `[T, B]`.

    Raises:
        ValueError: the discount is out of range, or rewards have no step axis.

    Example:
        >>> import warptf
        >>> returns = warptf.reinforcement.discounted_returns([[1.0], [0.0], [4.0]], 0.5)
        >>> returns.numpy().ravel().tolist()
        [2.0, 2.0, 4.0]
    """
    rewards = tf.convert_to_tensor(rewards)
    if not 0.0 <= discount <= 1.0:
        raise ValueError(f"discount must be from 0 to 1, got {discount!r}.")
    if len(rewards.shape) < 1:
        raise ValueError(f"rewards must be [T, B], got shape {rewards.shape}.")
    return tf.scan(
        lambda later, reward: reward + discount * later,
        rewards,
        initializer=tf.zeros_like(rewards[0]),
        reverse=True,
    )
