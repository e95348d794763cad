"""Any Gymnasium environment with discrete actions, for a learner."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="warptf")
class GymnasiumEnvironment:
    """Steps a Gymnasium vector environment from within compiled rollouts.

    Python runs the environment at every step, so that this is slower than an environment written
    in TensorFlow, and XLA cannot compile it (`jit_compile=False`); the learner is the same.
    Episodes are stepped together until the last has ended; what comes after the end of an episode
    counts for nothing.

    Args:
        environment: the id of a registered environment, or a function that makes one.
        episodes: `B`, how many are stepped side by side.
        episode_length: most steps of an episode; by default the limit that the environment is
            registered with.
        **kwargs: passed to the environment.

    Raises:
        TypeError: actions are not discrete, or observations no vectors of numbers.
        ValueError: no limit is known, or one below 1.

    Example:
        >>> import warptf
        >>> environment = warptf.reinforcement.GymnasiumEnvironment("CartPole-v1", episodes=2)
        >>> environment.observation_size, environment.action_count, environment.episode_length
        (4, 2, 500)
    """

    def __init__(
        self, environment: Any, episodes: int, episode_length: int | None = None, **kwargs: Any
    ) -> None:
        import gymnasium

        self._given = {
            "environment": environment,
            "episodes": episodes,
            "episode_length": episode_length,
            **kwargs,
        }
        if isinstance(environment, str):
            self._vector = gymnasium.make_vec(
                environment, num_envs=episodes, vectorization_mode="sync", **kwargs
            )
        else:
            make = [lambda: environment(**kwargs)] * episodes
            self._vector = gymnasium.vector.SyncVectorEnv(make)
        self.episodes = episodes
        action = self._vector.single_action_space
        if not isinstance(action, gymnasium.spaces.Discrete):
            raise TypeError(
                f"environment {environment!r} must have discrete actions, got {action}."
            )
        observation = self._vector.single_observation_space
        if not isinstance(observation, gymnasium.spaces.Box):
            raise TypeError(
                f"environment {environment!r} must be observed by numbers (a Box), got "
                f"{observation}: wrap it, for example in gymnasium.wrappers.FlattenObservation."
            )
        self._first_action = int(action.start)
        self.action_count = int(action.n)
        self.observation_size = int(np.prod(observation.shape))
        spec = self._vector.spec
        limit = episode_length or (spec.max_episode_steps if spec else None)
        if limit is None or limit < 1:
            raise ValueError(
                f"episode_length must be at least 1 and environment {environment!r} has no limit "
                f"of its own, got {episode_length!r}: give one."
            )
        self.episode_length = int(limit)

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
        observation = tf.numpy_function(self._reset, [seed], tf.float32)
        return tf.ones(self.episodes), self._shaped(observation)

    def step(self, state: Any, action: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """Steps all episodes.

        Args:
            state: which episodes go on, `[B]`.
            action: the actions, `[B]`, from 0.
        """
        observation, reward, goes_on = tf.numpy_function(
            self._step, [action, state], [tf.float32, tf.float32, tf.float32]
        )
        reward.set_shape((self.episodes,))
        goes_on.set_shape((self.episodes,))
        return goes_on, self._shaped(observation), reward

    def alive(self, state: Any) -> tf.Tensor:
        """Returns 1 for episodes that go on, 0 for those that have ended.

        Args:
            state: which episodes go on, `[B]`.
        """
        return state

    def _shaped(self, observation: tf.Tensor) -> tf.Tensor:
        observation.set_shape((self.episodes, self.observation_size))
        return observation

    def _reset(self, seed: np.ndarray) -> np.ndarray:
        # Gymnasium's seeds are not negative.
        numbers = [(high & 0x7FFFFFFF) << 32 | (low & 0xFFFFFFFF) for high, low in seed.tolist()]
        # Vector environments take a seed for each, which their base class does not say.
        observation, _ = self._vector.reset(seed=numbers)  # type: ignore[arg-type]
        return self._flat(observation)

    def _step(
        self, action: np.ndarray, alive: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not alive.any():
            # All have ended: the environment would begin the next ones.
            return np.zeros((self.episodes, self.observation_size), "float32"), 0 * alive, alive
        observation, reward, terminated, truncated, _ = self._vector.step(
            action + self._first_action
        )
        goes_on = alive * ~(terminated | truncated)
        return self._flat(observation), alive * reward.astype("float32"), goes_on.astype("float32")

    def _flat(self, observation: np.ndarray) -> np.ndarray:
        return np.asarray(observation, "float32").reshape(self.episodes, -1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments.

        Raises:
            ValueError: the environment was made by a function, which no file can hold.
        """
        if not isinstance(self._given["environment"], str):
            raise ValueError(
                f"environment {self._given['environment']!r} cannot be saved, for it is made by a "
                "function: register it with Gymnasium, and give its id."
            )
        return dict(self._given)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GymnasiumEnvironment":
        """Makes the environment from what `get_config` returned."""
        return cls(**config)
