"""Advantage actor-critic on whole episodes."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from warptf.experience import Experience, Learned, StreamPart, Tensors
from warptf.layers.validation import optional_positive_integer, positive_integer
from warptf.partition import FunctionalLearner
from warptf.reinforcement.actor_critic_loss import actor_critic_terms
from warptf.reinforcement.environment import Environment, failures_named
from warptf.reinforcement.recurrent_agent import RecurrentAgent
from warptf.reinforcement.returns import discounted_returns
from warptf.reinforcement.rollout import EpisodeDraws, Rollout, collect, episode_draws
from warptf.reinforcement.through_time import gradients_through_time
from warptf.tasks.prefetched import prefetched

# Folded into a batch's seed: what random numbers of an episode are drawn for.
_ENVIRONMENT, _ACTIONS, _QUERY_ACTIONS = 0, 1, 2


class ActorCritic(Experience):
    r"""Learns from the episodes that the agent itself lives in an environment.

    $L = \frac{1}{T} \sum_t [-\log \pi(a_t) \, (R_t - v_t) + c_v (R_t - v_t)^2 + c_\pi \sum_a
    \pi_t(a)^2]$, the mean over episodes, the advantage $R_t - v_t$ of the first term a constant;
    $R_t$ are discounted returns to the episode's end.

    An episode is one task, such as one goal in a maze: what the agent learns of it, it learns by
    its memory. $\phi$ learns from the same episodes as $\theta$, or, where the objective has a
    second-order part, from other episodes of the same tasks.

    Reports `reward`, the mean over episodes of all rewards in one, and the terms of the loss.

    Args:
        environment: the environment.
        episodes: episodes of a batch. Defaults to 30.
        discount: $\gamma$. Defaults to 0.9.
        value_weight: $c_v$. Defaults to 0.1.
        concentration_weight: $c_\pi$. Defaults to 0.03.
        segment_steps: how many steps' gradients of the weights are computed at once, as in
            `gradients_through_time`. By default all.

    Raises:
        ValueError: a number is out of range.

    Example:
        >>> import keras, warptf
        >>> from warptf import reinforcement
        >>> environment = reinforcement.GymnasiumEnvironment("CartPole-v1", 2, episode_length=5)
        >>> agent = reinforcement.RecurrentAgent(reinforcement.WarpRNNCell(8), 4, 2)
        >>> learner = warptf.ContinualMetaLearner(agent, warp_update_interval=2)
        >>> experience = reinforcement.ActorCritic(environment, episodes=2)
        >>> learner.compile(optimizer="adam", loss=experience)
        >>> history = learner.fit(experience.batches(4), verbose=0)
        >>> history.history["reward"]   # one for each of five steps that the pole stands
        [5.0]

    Reference:
        Mnih et al., arXiv 1602.01783; Flennerhag et al., arXiv 1909.00025, appendix I.
    """

    metric_names = ("reward", "policy_loss", "value_loss", "concentration")
    separate_query = False

    def __init__(
        self,
        environment: Environment,
        episodes: int = 30,
        discount: float = 0.9,
        value_weight: float = 0.1,
        concentration_weight: float = 0.03,
        segment_steps: int | None = None,
    ) -> None:
        if not 0.0 <= discount <= 1.0:
            raise ValueError(f"discount must be from 0 to 1, got {discount!r}.")
        self.environment = environment
        self.episodes = positive_integer("episodes", episodes)
        self.discount = float(discount)
        self.value_weight = float(value_weight)
        self.concentration_weight = float(concentration_weight)
        self.segment_steps = optional_positive_integer("segment_steps", segment_steps)

    def batches(self, count: int | None = None, start: int = 0) -> tf.data.Dataset:
        """Returns what `fit` and `evaluate` are given: numbers of episodes, `[episodes]` each.

        Args:
            count: number of batches; without end if `None`.
            start: number of the first batch.
        """
        numbers = tf.data.Dataset.counter(start)
        if count is not None:
            numbers = numbers.take(count)
        batches = numbers.map(lambda n: n * self.episodes + tf.range(self.episodes, dtype=tf.int64))
        return prefetched(batches)

    def prepare(self, learner: FunctionalLearner, data: Any, where: str) -> None:
        """Checks that model, environment and data go together."""
        model, environment = learner.model, self.environment
        if not isinstance(model, RecurrentAgent):
            raise TypeError(
                f"ActorCritic needs a warptf.reinforcement.RecurrentAgent, got model "
                f"{model.name!r} of class {type(model).__name__}: put the cell in one."
            )
        own = (model.observation_size, model.action_count)
        needed = (environment.observation_size, environment.action_count)
        if own != needed:
            raise ValueError(
                f"the agent takes {own[0]} numbers and has {own[1]} actions, but the environment "
                f"shows {needed[0]} and has {needed[1]}: make the agent for this environment."
            )
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if self.episodes % replicas:
            raise ValueError(
                f"episodes must be a multiple of the {replicas} replicas, got {self.episodes}."
            )
        shape = getattr(getattr(data, "element_spec", None), "shape", None)
        if shape != (self.episodes,):
            raise ValueError(
                f"the {where} data must be those of ActorCritic.batches(), {self.episodes} numbers "
                f"of episodes in each batch, got {getattr(data, 'element_spec', type(data))}."
            )

    def record(
        self,
        learner: FunctionalLearner,
        theta: Tensors,
        phi: Tensors,
        data: Any,
        seed: tf.Tensor,
        part: StreamPart,
    ) -> Rollout:
        """Lives the episodes of a batch."""
        purpose = _ACTIONS if part == "support" else _QUERY_ACTIONS
        return self._live(learner, theta, phi, data, seed, purpose)

    def _live(
        self,
        learner: FunctionalLearner,
        theta: Tensors,
        phi: Tensors,
        data: Any,
        seed: tf.Tensor,
        purpose: int,
    ) -> Rollout:
        fold = tf.random.experimental.stateless_fold_in
        seeds = fold(seed, _ENVIRONMENT), fold(seed, purpose)
        draws = episode_draws(self.environment, self.episodes, seeds)
        return collect(learner, theta, phi, self.environment, self._own_part(draws, data))

    def _own_part(self, draws: EpisodeDraws, data: Any) -> EpisodeDraws:
        """Returns the draws of the episodes of this replica alone."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return draws
        count, first = self.episodes // replicas, tf.cast(data[0] % self.episodes, tf.int32)
        length, actions = draws.noise.shape[0], draws.noise.shape[2]
        return EpisodeDraws(
            tf.slice(draws.seed, [first, 0], [count, 2]),
            tf.slice(draws.noise, [0, first, 0], [length, count, actions]),
        )

    def learn(
        self,
        learner: FunctionalLearner,
        theta: Tensors,
        phi: Tensors,
        record: Rollout,
        seed: tf.Tensor,
    ) -> Learned:
        """Returns the loss of the episodes, its gradients and terms."""
        returns = discounted_returns(record.rewards, self.discount)

        def loss(logits: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            return self._loss(logits, values, record, returns)

        value, metrics, in_theta, in_phi = gradients_through_time(
            learner, theta, phi, record, loss, self.segment_steps
        )
        return Learned(value, in_theta, in_phi, metrics)

    def _loss(
        self, logits: tf.Tensor, values: tf.Tensor, record: Rollout, returns: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits, values = (tf.cast(part, record.rewards.dtype) for part in (logits, values))
        terms = actor_critic_terms(logits, values, record.actions, returns, record.alive)
        loss = (
            terms.policy
            + self.value_weight * terms.value
            + self.concentration_weight * terms.concentration
        )
        reward = tf.reduce_mean(tf.reduce_sum(record.rewards, axis=0))
        return loss, dict(zip(self.metric_names, (reward, *terms), strict=True))

    def score(
        self, learner: FunctionalLearner, theta: Tensors, phi: Tensors, data: Any, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns loss and metrics of episodes that are not learned from."""
        batch = tf.cast(data[0] // self.episodes, tf.int32)
        seed = tf.random.experimental.stateless_fold_in(seed, batch)
        record = self._live(learner, theta, phi, data, seed, _ACTIONS)
        returns = discounted_returns(record.rewards, self.discount)
        with learner.scope(theta, phi, learner.initial_state(seed)):
            logits, values = learner.model.heads(record.outputs)
        loss, metrics = self._loss(logits, values, record, returns)
        return {"loss": loss, **metrics}

    def failures_named(self) -> contextlib.AbstractContextManager[None]:
        """Returns the context in which errors of the environment keep their own words."""
        return failures_named(self.environment)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        given = {
            "environment": self.environment,
            "episodes": self.episodes,
            "discount": self.discount,
            "value_weight": self.value_weight,
            "concentration_weight": self.concentration_weight,
            "segment_steps": self.segment_steps,
        }
        return keras.saving.serialize_keras_object(given)
