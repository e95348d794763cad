"""Episodes of an agent as it stands."""

import keras
import numpy as np
import tensorflow as tf

from warptf.partition import FunctionalLearner
from warptf.reinforcement.environment import Environment, failures_named
from warptf.reinforcement.rollout import EpisodeDraws, Rollout, collect, episode_draws

# No other random numbers of the library are drawn from seeds that begin with this.
_PLAY = 0x706C6179


class Player:
    r"""Lets an agent live episodes, from which nothing is learned.

    Args:
        agent: a `RecurrentAgent`.
        environment: the environment.
        episodes: `B`, episodes side by side.
        greedy: whether the likeliest action is taken, and none drawn. Defaults to `False`.
        jit_compile: whether XLA compiles the episodes. Defaults to `False`.

    Example:
        >>> from warptf import reinforcement
        >>> environment = reinforcement.GymnasiumEnvironment("CartPole-v1", 2, episode_length=5)
        >>> agent = reinforcement.RecurrentAgent(reinforcement.RNNCell(8), 4, 2)
        >>> rollout = reinforcement.Player(agent, environment, episodes=2)(seed=0)
        >>> rollout.rewards.shape
        TensorShape([5, 2])
    """

    def __init__(
        self,
        agent: keras.Model,
        environment: Environment,
        episodes: int,
        greedy: bool = False,
        jit_compile: bool = False,
    ) -> None:
        learner = FunctionalLearner(agent)
        self._episodes, self._environment, self._greedy = episodes, environment, greedy

        def play(seed: tf.Tensor) -> Rollout:
            theta, phi = learner.initial_theta(), learner.warp_values()
            return collect(learner, theta, phi, environment, self._draws(seed))

        self._play = tf.function(play, jit_compile=jit_compile, autograph=False)

    def __call__(self, seed: int) -> Rollout:
        """Returns episodes.

        Args:
            seed: an integer that decides all that is random in them.
        """
        with failures_named(self._environment):
            return self._play(tf.constant([_PLAY, seed]))

    def environment_seed(self, seed: int) -> tf.Tensor:
        """Returns what the environment is reset with, two integers for each episode.

        Args:
            seed: as in a call.
        """
        return self._draws(tf.constant([_PLAY, seed])).seed

    def _draws(self, seed: tf.Tensor) -> EpisodeDraws:
        fold = tf.random.experimental.stateless_fold_in
        seeds = fold(seed, 0), fold(seed, 1)
        return episode_draws(self._environment, self._episodes, seeds, self._greedy)

    def rewards(self, seeds: range) -> np.ndarray:
        """Returns the sum of rewards in each episode, `[seeds x episodes]`.

        Args:
            seeds: a seed for each batch of episodes.
        """
        return np.concatenate([self(seed).rewards.numpy().sum(0) for seed in seeds])
