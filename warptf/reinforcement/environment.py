"""What a learner needs of an environment."""

import contextlib
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

    def reset(self, seed: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Returns the state in which episodes start, and what is observed there, `[B, O]`.

        Args:
            seed: `[B, 2]`, two integers for each episode, from which all of its random numbers
                derive: an episode is the same whichever others are beside it.
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


def failures_named(environment: Environment) -> contextlib.AbstractContextManager[None]:
    """Returns the context in which errors of an environment in Python keep their own words.

    Args:
        environment: the environment; its method `failures_named` gives the context, if it has one.
    """
    own = getattr(environment, "failures_named", None)
    return contextlib.nullcontext() if own is None else own()
