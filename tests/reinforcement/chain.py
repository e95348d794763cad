"""A small environment for tests, whose every number can be computed by hand."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf


class ChainState(NamedTuple):
    """Where the agents are, how many steps were taken, and when each episode ends."""

    place: tf.Tensor
    step: tf.Tensor
    end: tf.Tensor


@keras.saving.register_keras_serializable(package="tests")
class Chain:
    """A walk on the integers: action 1 goes right, 0 left; the reward is the place after the step.

    Observed are the place and the share of the episode that has gone. With `ends`, episode `b` ends
    after `b + 1` steps.
    """

    observation_size, action_count = 2, 2

    def __init__(self, episode_length: int = 5, ends: bool = False) -> None:
        self.episode_length, self.ends = episode_length, ends

    def reset(self, seed: tf.Tensor) -> tuple[Any, tf.Tensor]:
        batch_size, place = seed.shape[0], seed[:, 0] % 3
        end = tf.range(1, batch_size + 1) if self.ends else tf.fill([batch_size], 2**30)
        state = ChainState(place, tf.constant(0), end)
        return state, self._observe(state)

    def step(self, state: ChainState, action: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        alive = tf.cast(self.alive(state), tf.int32)
        place = state.place + 2 * action - 1
        state = state._replace(place=place, step=state.step + 1)
        return state, self._observe(state), tf.cast(alive * place, tf.float32)

    def alive(self, state: ChainState) -> tf.Tensor:
        return tf.cast(state.step < state.end, tf.float32)

    def _observe(self, state: ChainState) -> tf.Tensor:
        place = tf.cast(state.place, tf.float32)
        time = tf.cast(state.step, tf.float32) / self.episode_length
        return tf.stack([place, tf.fill(tf.shape(place), time)], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {"episode_length": self.episode_length, "ends": self.ends}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        return cls(**config)
