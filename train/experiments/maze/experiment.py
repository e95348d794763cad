"""The maze experiment: agents that learn a maze's goal within an episode."""

from typing import Any

import keras
import numpy as np

import warptf
from warptf import reinforcement
from warptf.envs import Maze, expected_return, optimal_actions
from warptf.objectives import WarpGrad

from ...engine.experiment import Experiment
from ...engine.result import confidence_interval
from ...engine.run_directory import RunDirectory
from ...engine.training_plot import write_reward_plot, write_training_plot, write_validation_plot
from .config import MazeConfig
from .film import write_film
from .tasks import TEST, VALIDATION, MazeTasks


class MazeExperiment(Experiment):
    """Each goal is one task, met in one episode; the figure is the sum of an episode's rewards."""

    name = MazeConfig.EXPERIMENT
    config_class = MazeConfig
    monitored = "reward"
    objectives = ("reward",)
    rate_field = "task_rate"

    def run_dir_words(self, config: MazeConfig) -> tuple[str, ...]:
        """Returns words for the name of a new run directory."""
        return (self.name, config.meta_learner)

    def build_tasks(self, config: MazeConfig) -> MazeTasks:
        """Returns the episodes."""
        experience = reinforcement.ActorCritic(
            _maze(config),
            episodes=config.episodes,
            discount=config.discount,
            value_weight=config.value_weight,
            concentration_weight=config.concentration_weight,
            segment_steps=config.segment_steps,
        )
        return MazeTasks(experience, config.seed, config.test_episodes // config.episodes)

    def build_learner(self, config: MazeConfig, tasks: MazeTasks) -> Any:
        """Returns the compiled meta-learner."""
        # The cells' initializers draw from Keras' global seed.
        keras.utils.set_random_seed(config.seed)
        maze = tasks.experience.environment
        agent = reinforcement.RecurrentAgent(
            _cell(config), maze.observation_size, maze.action_count
        )
        learner = warptf.ContinualMetaLearner(
            agent,
            objective=WarpGrad(config.second_order) if config.second_order else None,
            warp_update_interval=config.warp_update_interval or 1,
            seed=config.seed,
        )
        learner.compile(
            optimizer=_adam(config.meta_rate or config.task_rate, config),
            task_optimizer=_adam(config.task_rate, config),
            loss=tasks.experience,
            jit_compile=config.jit == "meta-step",
            steps_per_execution=config.execution_steps,
        )
        return learner

    def score_validation(self, learner: Any, tasks: MazeTasks) -> dict[str, Any]:
        """Returns the mean reward of validation episodes."""
        rewards = _player(learner).rewards(tasks.seeds(VALIDATION))
        low, high = np.quantile(rewards, (0.25, 0.75))
        return {
            "reward": float(rewards.mean()),
            "reward_quartiles": [float(low), float(high)],
        }

    def score(self, learner: Any, tasks: MazeTasks) -> np.ndarray:
        """Returns the reward of each test episode."""
        return _player(learner).rewards(tasks.seeds(TEST))

    def scores_by_task(self, tasks: MazeTasks, scores: np.ndarray) -> dict[str, Any]:
        """Returns the reward of each test episode."""
        return {"reward": scores.tolist()}

    def figures(self, config: MazeConfig, tasks: MazeTasks, scores: np.ndarray) -> dict[str, Any]:
        """Returns the figures of the test episodes, their floor and ceiling, and the budget."""
        maze = _maze(config)
        reported = ("episodes", "episode_steps", "size", "units", "meta_steps", "task_rate")
        return {
            "reward": float(scores.mean()),
            "reward_std": float(scores.std(ddof=1)),
            "reward_ci95": confidence_interval(scores),
            "reward_random": expected_return(maze),
            "reward_optimal": expected_return(maze, optimal_actions(maze)),
            "test_tasks": len(scores),
            **{name: getattr(config, name) for name in reported},
        }

    def write_plots(self, run: RunDirectory) -> None:
        """Draws reward and loss along meta-training, and films an episode."""
        learner = keras.models.load_model(run.model)
        write_film(learner.model, learner.experience.environment, run.plots / "episode.gif")
        write_training_plot(run)
        write_validation_plot(run, "reward")
        write_reward_plot(run)


def _maze(config: MazeConfig) -> Maze:
    return Maze(config.size, config.wall_penalty, episode_length=config.episode_steps)


def _adam(rate: float, config: MazeConfig) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm)


def _cell(config: MazeConfig) -> keras.layers.Layer:
    if config.meta_learner == "warp-rnn":
        return reinforcement.WarpRNNCell(config.units, config.lstm_units or config.units)
    if config.meta_learner == "hyper-rnn":
        return reinforcement.HyperRNNCell(config.units, config.lstm_units or config.units)
    if config.meta_learner == "t-net-rnn":
        return reinforcement.TNetRNNCell(config.units)
    if config.meta_learner == "rnn":
        return reinforcement.RNNCell(config.units)
    return reinforcement.HebbianRNNCell(config.units, config.meta_learner == "retro-hebb-rnn")


def _player(learner: Any) -> reinforcement.Player:
    experience = learner.experience
    return reinforcement.Player(
        learner.model,
        experience.environment,
        experience.episodes,
        jit_compile=bool(learner.jit_compile),
    )
