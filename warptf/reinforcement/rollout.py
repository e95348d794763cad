"""Whole episodes, lived within the graph."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from warptf.partition import FunctionalLearner
from warptf.reinforcement.environment import Environment
from warptf.reinforcement.recurrent_cell import RecurrentCell

Tensors = list[tf.Tensor]


class Rollout(NamedTuple):
    r"""`B` episodes of `T` steps, as an agent lived them.

    Attributes:
        observations: `[T, B, O]`, each from before the step.
        actions: `[T, B]`, integers.
        rewards: `[T, B]`, in `float64` of an agent in `float64`, else in `float32`.
        alive: `[T, B]`, alike, 1 for steps of an episode and 0 for what came after its end.
        states: the cell's states before each step, each `[T, B, size]`.
        outputs: the cell's output at each step, `[T, B, units]`.
        products: the products with weight matrices that the cell computed, each `[T, B, columns]`;
            empty for cells that do not say.
    """

    observations: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    alive: tf.Tensor
    states: Tensors
    outputs: tf.Tensor
    products: Tensors


class EpisodeDraws(NamedTuple):
    """All that is random in `B` episodes.

    Attributes:
        seed: `[B, 2]`, what the environment derives its random numbers from.
        noise: `[T, B, A]`, what is added to the logits before the largest is taken.
    """

    seed: tf.Tensor
    noise: tf.Tensor


def episode_draws(
    environment: Environment,
    episodes: int,
    seeds: tuple[tf.Tensor, tf.Tensor],
    greedy: bool = False,
) -> EpisodeDraws:
    """Returns what is random in episodes.

    Args:
        environment: the environment.
        episodes: `B`.
        seeds: the seed of the environment and that of the actions, two integers each.
        greedy: whether the likeliest action is taken, and none drawn. Defaults to `False`.
    """
    own = tf.random.stateless_uniform((episodes, 2), seeds[0], None, None, tf.int32)
    shape = (environment.episode_length, episodes, environment.action_count)
    if greedy:
        return EpisodeDraws(own, tf.zeros(shape))
    # The largest of logits with Gumbel noise is a draw from their softmax.
    uniform = tf.random.stateless_uniform(shape, seeds[1], 1e-7, 1.0)
    return EpisodeDraws(own, -tf.math.log(-tf.math.log(uniform)))


def collect(
    learner: FunctionalLearner,
    theta: Tensors,
    phi: Tensors,
    environment: Environment,
    draws: EpisodeDraws,
) -> Rollout:
    r"""Lives episodes with an agent, no gradient being recorded.

    The draws alone decide what happens, and of an episode its own. XLA makes other draws from the
    same seed.

    Args:
        learner: the functional view of a `RecurrentAgent`.
        theta: its task parameters.
        phi: its warp parameters.
        environment: the environment.
        draws: what is random in the episodes.
    """
    agent, length = learner.model, environment.episode_length
    state, observation = environment.reset(draws.seed)
    recurrent = agent.initial_states(draws.seed.shape[0])
    with learner.scope(theta, phi, learner.initial_state(tf.constant([0, 0]))):
        record = _Record(agent, length, observation, recurrent)

        def body(t: tf.Tensor, state: Any, observation: Any, states: Any, arrays: Any) -> Any:
            after, output, products = advance(agent, observation, states)
            logits = tf.cast(agent.policy(output), record.dtype)
            noise = tf.cast(draws.noise[t], record.dtype)
            action = tf.argmax(logits + noise, axis=1, output_type=tf.int32)
            alive = tf.cast(environment.alive(state), record.dtype)
            state, seen, reward = environment.step(state, action)
            reward = tf.cast(reward, record.dtype)
            lived = [observation, action, reward, alive, output, *states, *products]
            arrays = [array.write(t, x) for array, x in zip(arrays, lived, strict=True)]
            return t + 1, state, seen, after, arrays

        *_, arrays = tf.while_loop(
            lambda t, *_: t < length,
            body,
            (tf.constant(0), state, observation, recurrent, record.arrays),
            maximum_iterations=length,
            parallel_iterations=1,
        )
    return record.rollout(tf.nest.map_structure(tf.stop_gradient, [a.stack() for a in arrays]))


def advance(
    agent: keras.Model, observation: tf.Tensor, states: Tensors
) -> tuple[Tensors, tf.Tensor, Tensors]:
    """Returns an agent's states, output and products of one step, within a learner's scope.

    Args:
        agent: a `RecurrentAgent`.
        observation: `[B, O]`.
        states: the cell's states, each `[B, size]`.
    """
    cell, products = agent.cell, list[tf.Tensor]()
    if not isinstance(cell, RecurrentCell):
        output, after = cell(observation, states)
        return list(tf.nest.flatten(after)), output, products

    def product(x: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
        products.append(cell.multiply(x, kernel))
        return products[-1]

    after = cell.advance(cell.project(tf.cast(observation, cell.compute_dtype)), states, product)
    return after, after[0], products


class _Record:
    """The arrays that a rollout fills."""

    def __init__(self, agent: Any, length: int, observation: Any, states: Tensors) -> None:
        _, output, products = advance(agent, observation, states)
        episodes = (observation.shape[0],)
        self.dtype = tf.float64 if agent.compute_dtype == "float64" else tf.float32
        specs = [
            (observation.dtype, observation.shape),
            (tf.int32, episodes),
            (self.dtype, episodes),
            (self.dtype, episodes),
            *((t.dtype, t.shape) for t in (output, *states, *products)),
        ]
        self._states = len(states)
        self.arrays = [tf.TensorArray(dtype, length, element_shape=s) for dtype, s in specs]

    def rollout(self, stacked: Tensors) -> Rollout:
        observations, actions, rewards, alive, outputs, *rest = stacked
        states, products = rest[: self._states], rest[self._states :]
        return Rollout(observations, actions, rewards, alive, states, outputs, products)
