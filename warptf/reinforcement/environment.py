"""What a learner needs of an environment."""

from typing import Any, Protocol

import tensorflow as tf


class Environment(Protocol):
    """Episodes side by side, as functions of tensors.

    `warptf.envs.Maze` is one, compiled with the learner; `GymnasiumEnvironment` makes one of any
    Gymnasium environment with discrete actions.

    Attributes:
        observation_size: numbers in an observation.
        action_count: number of actions.
        episode_length: most steps of an episode.
    """

    observation_size: int
    action_count: int
    episode_length: int

    def reset(self, seed: tf.Tensor, batch_size: int) -> tuple[Any, tf.Tensor]:
        """Returns the state in which episodes start, and what is observed there, `[B, O]`.

        Args:
            seed: two integers, from which all of an environment's random numbers derive.
            batch_size: `B`, the number of episodes.
        """

    def step(self, state: Any, action: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """Returns state, observation `[B, O]` and reward `[B]` after a step.

        Args:
            state: the state before.
            action: the actions, `[B]`.
        """

    def alive(self, state: Any) -> tf.Tensor:
        """Returns 1 for episodes that go on from a state, 0 for those that have ended, `[B]`.

        Args:
            state: a state.
        """
