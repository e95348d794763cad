"""Any Gymnasium environment with discrete actions, for a learner."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf.layers.validation import optional_positive_integer, positive_integer

# An odd number, so that seeds that differ in their first word differ, too (2^32 / golden ratio).
_MIX = 0x9E3779B9
# Environments hand their seeds on to NumPy, which takes 32 bits, and to C, which takes a sign.
_SEEDS = 2**31


@keras.saving.register_keras_serializable(package="warptf")
class GymnasiumEnvironment:
    r"""Steps a Gymnasium vector environment from within compiled rollouts.

    Python runs the environment at every step, so that this is slower than an environment written
    in TensorFlow, and XLA cannot compile it (`jit_compile=False`); the learner is the same.
    Episodes are stepped together until the last has ended; what comes after the end of an episode
    counts for nothing. Observations are flattened to vectors of `float32`.

    An episode with the seed $(s_0, s_1)$ begins with `reset(seed=n)`, $n = (s_1 + 2654435769 s_0)
    \bmod 2^{31}$. Vector environments are given a list of these; one that knows a single seed
    gets that of the first episode.

    Args:
        environment: the id of a registered environment, or its `EnvSpec`; a `gymnasium.Env`, whose
            copies are the other episodes; a `gymnasium.vector.VectorEnv` of as many episodes; or a
            function that makes one of these.
        episodes: `B`, how many are stepped side by side.
        episode_length: most steps of an episode; by default the limit that the environment has.
        **kwargs: passed to the environment where it is made here.

    Raises:
        TypeError: no environment, actions that are not discrete, or observations that are no
            arrays of numbers.
        ValueError: a number below 1, no limit is known, or a vector environment of another number
            of episodes.

    Example:
        >>> import gymnasium, warptf
        >>> environment = warptf.reinforcement.GymnasiumEnvironment("CartPole-v1", episodes=2)
        >>> environment.observation_size, environment.action_count, environment.episode_length
        (4, 2, 500)
        >>> own = gymnasium.make("CartPole-v1")
        >>> warptf.reinforcement.GymnasiumEnvironment(own, episodes=2).episode_length
        500
    """

    def __init__(
        self, environment: Any, episodes: int, episode_length: int | None = None, **kwargs: Any
    ) -> None:
        # Not at the top: whoever has no environment is not to wait for Gymnasium.
        import gymnasium

        from warptf.reinforcement.vector_of import limit_of, name_of, takes_seeds, vector_of

        if isinstance(environment, gymnasium.envs.registration.EnvSpec):
            known = gymnasium.registry.get(environment.id) == environment
            environment = environment.id if known else environment
        self._given = {
            "environment": environment,
            "episodes": episodes,
            "episode_length": episode_length,
            **kwargs,
        }
        self.episodes = positive_integer("episodes", episodes)
        limit = optional_positive_integer("episode_length", episode_length)
        self._vector = vector_of(environment, episodes, kwargs)
        self._name = name_of(self._vector)
        action = self._vector.single_action_space
        if not isinstance(action, gymnasium.spaces.Discrete):
            raise TypeError(
                f"environment {self._name} must have discrete actions, got {action}: number some "
                "of its actions by gymnasium.wrappers.TransformAction(env, lambda number: "
                "ACTIONS[number], gymnasium.spaces.Discrete(len(ACTIONS)))."
            )
        observation = self._vector.single_observation_space
        if not isinstance(observation, gymnasium.spaces.Box):
            wrapper = (
                "FlattenObservation" if observation.is_np_flattenable else "TransformObservation"
            )
            raise TypeError(
                f"environment {self._name} must be observed by numbers (a Box), got "
                f"{observation}: pass lambda: gymnasium.wrappers.{wrapper}(...)."
            )
        self._first_action = int(action.start)
        self.action_count = int(action.n)
        self.observation_size = int(np.prod(observation.shape))
        limit = limit or limit_of(self._vector)
        if limit is None:
            raise ValueError(
                f"episode_length is None and environment {self._name} has no limit of its own: "
                "give the most steps of an episode."
            )
        self.episode_length = int(limit)
        # Of others than Gymnasium's own it is found out when they are first reset.
        self._takes_seeds = takes_seeds(self._vector)
        self._failure: RuntimeError | None = None

    def reset(self, seed: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Starts all episodes anew.

        Args:
            seed: `[episodes, 2]`, two integers for each.

        Raises:
            ValueError: another number of episodes.
        """
        if seed.shape[0] != self.episodes:
            raise ValueError(
                f"seed must have a row for each of the {self.episodes} episodes that the "
                f"environment was made for, got shape {seed.shape}."
            )
        reset = functools.partial(self._guarded, self._reset)
        observation = tf.numpy_function(reset, [seed], tf.float32)
        return tf.ones(self.episodes), self._shaped(observation)

    def step(self, state: Any, action: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """Steps all episodes.

        Args:
            state: which episodes go on, `[B]`.
            action: the actions, `[B]`, from 0.
        """
        step = functools.partial(self._guarded, self._step)
        observation, reward, goes_on = tf.numpy_function(step, [action, state], [tf.float32] * 3)
        reward.set_shape((self.episodes,))
        goes_on.set_shape((self.episodes,))
        return goes_on, self._shaped(observation), reward

    def alive(self, state: Any) -> tf.Tensor:
        """Returns 1 for episodes that go on, 0 for those that have ended.

        Args:
            state: which episodes go on, `[B]`.
        """
        return state

    @contextlib.contextmanager
    def failures_named(self) -> Iterator[None]:
        """Raises what went wrong in the environment in place of TensorFlow's account of it.

        Raises:
            RuntimeError: the environment raised an error, which is its cause, or gave numbers that
                are not finite.
        """
        self._failure = None
        try:
            yield
        except tf.errors.OpError:
            if self._failure is None:
                raise
            raise self._failure from self._failure.__cause__

    def _shaped(self, observation: tf.Tensor) -> tf.Tensor:
        observation.set_shape((self.episodes, self.observation_size))
        return observation

    def _reset(self, seed: np.ndarray) -> np.ndarray:
        numbers = [(int(low) + _MIX * int(high)) % _SEEDS for high, low in seed]
        return self._seen(self._begin(numbers), np.ones(self.episodes))

    def _begin(self, numbers: list[int]) -> Any:
        """Returns the first observations, of episodes that each have a seed where that can be."""
        # The base class of vector environments knows a single seed.
        seeds: Any = numbers
        if self._takes_seeds is None:
            try:
                observation, _ = self._vector.reset(seed=seeds)
            except Exception:
                # What fails for another reason fails with a single one, too.
                self._takes_seeds = False
            else:
                self._takes_seeds = True
                return observation
        return self._vector.reset(seed=seeds if self._takes_seeds else numbers[0])[0]

    def _step(
        self, action: np.ndarray, alive: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not alive.any():
            # All have ended: the environment would begin the next ones.
            return np.zeros((self.episodes, self.observation_size), "float32"), 0 * alive, alive
        observation, reward, terminated, truncated, _ = self._vector.step(
            action + self._first_action
        )
        ended = np.logical_or(terminated, truncated)
        goes_on = alive * ~ended
        # After the end of an episode, anything may come.
        reward = np.where(alive > 0, np.asarray(reward, "float32"), np.float32(0))
        self._check("reward", np.isfinite(reward))
        return self._seen(observation, goes_on), reward, goes_on.astype("float32")

    def _guarded(self, act: Callable[..., Any], *arguments: np.ndarray) -> Any:
        """Returns what the environment gives, or keeps what it has failed by."""
        try:
            return act(*arguments)
        except Exception as error:
            text = f"environment {self._name} failed: {type(error).__name__}: {error}"
            self._failure = RuntimeError(text)
            # Of its own kind it could be mistaken: a StopIteration for the end of the data.
            raise self._failure from error

    def _seen(self, observation: Any, goes_on: np.ndarray) -> np.ndarray:
        """Returns observations as vectors, of episodes that have ended zeros for want of others."""
        flat = np.asarray(observation, "float32").reshape(self.episodes, -1)
        finite = np.isfinite(flat)
        self._check("observation", finite.all(-1) | (goes_on == 0))
        return np.where(finite, flat, np.float32(0))

    def _check(self, what: str, finite: np.ndarray) -> None:
        if not finite.all():
            raise ValueError(
                f"the {what} of episode {int(finite.argmin())} is not finite (NaN or infinite): "
                "mend it in the environment, or in a wrapper around it."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments.

        Raises:
            ValueError: the environment was given as an object, or is made by a function, neither of
                which a file can hold.
        """
        if not isinstance(self._given["environment"], str):
            raise ValueError(
                f"environment {self._name} cannot be saved, for it is an object or is made by a "
                "function: register it with Gymnasium, and give its id."
            )
        return dict(self._given)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GymnasiumEnvironment":
        """Makes the environment from what `get_config` returned."""
        return cls(**config)
