"""Reinforcement learning: whole-episode rollouts, actor-critic losses, recurrent learners."""

from warptf.reinforcement.actor_critic import ActorCritic
from warptf.reinforcement.actor_critic_loss import ActorCriticTerms, actor_critic_terms
from warptf.reinforcement.environment import Environment
from warptf.reinforcement.gymnasium_environment import GymnasiumEnvironment
from warptf.reinforcement.hebbian_rnn_cell import HebbianRNNCell
from warptf.reinforcement.hyper_rnn_cell import HyperRNNCell
from warptf.reinforcement.player import Player
from warptf.reinforcement.recurrent_agent import RecurrentAgent
from warptf.reinforcement.recurrent_cell import RecurrentCell
from warptf.reinforcement.returns import discounted_returns
from warptf.reinforcement.rnn_cell import RNNCell
from warptf.reinforcement.rollout import EpisodeDraws, Rollout, collect, episode_draws
from warptf.reinforcement.t_net_rnn_cell import TNetRNNCell
from warptf.reinforcement.through_time import gradients_through_time
from warptf.reinforcement.warp_rnn_cell import WarpRNNCell

__all__ = [
    "ActorCritic",
    "ActorCriticTerms",
    "Environment",
    "EpisodeDraws",
    "GymnasiumEnvironment",
    "HebbianRNNCell",
    "HyperRNNCell",
    "Player",
    "RNNCell",
    "RecurrentAgent",
    "RecurrentCell",
    "Rollout",
    "TNetRNNCell",
    "WarpRNNCell",
    "actor_critic_terms",
    "collect",
    "discounted_returns",
    "episode_draws",
    "gradients_through_time",
]
