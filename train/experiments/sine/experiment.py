"""The sine experiment: few-shot regression, the fastest check of a meta-learner."""

from typing import Any

import keras
import numpy as np

from warptf import models, plotting
from warptf.tasks import Sine

from ...engine import composition
from ...engine.experiment import Experiment
from ...engine.result import confidence_interval
from ...engine.run_directory import RunDirectory
from ...engine.selection import BY_TASK, by_task
from ...engine.training_plot import write_training_plot, write_validation_plot
from .config import SineConfig


class SineExperiment(Experiment):
    """Each sine is one task; the figure is the mean squared error on points not learned from."""

    name = SineConfig.EXPERIMENT
    config_class = SineConfig
    monitored = "loss"
    objectives = ("loss",)
    reports_best = True

    def run_dir_words(self, config: SineConfig) -> tuple[str, ...]:
        """Returns words for the name of a new run directory."""
        return (self.name, config.meta_learner)

    def build_tasks(self, config: SineConfig) -> Sine:
        """Returns the sines."""
        return Sine(
            shots=config.shots,
            queries=config.queries,
            evaluation_queries=config.evaluation_queries,
            tasks_per_batch=config.tasks,
            evaluation_tasks=config.test_tasks,
            seed=config.seed,
        )

    def build_learner(self, config: SineConfig, tasks: Sine) -> Any:
        """Returns the compiled meta-learner."""
        model = models.sine_learner(config.units, config.layers, config.warp_units, config.seed)
        learner = composition.meta_learner(config, model)
        learner.compile(loss=keras.losses.MeanSquaredError(), **composition.outer_steps(config))
        return learner

    def score_validation(self, learner: Any, tasks: Sine) -> dict[str, Any]:
        """Returns the mean error on the validation tasks before and after adaptation."""
        errors = _errors(learner, tasks.validation)
        return {
            "loss": float(errors[:, -1].mean()),
            "loss_before": float(errors[:, 0].mean()),
            BY_TASK: by_task(self.by_task(tasks, errors)),
        }

    def score(self, learner: Any, tasks: Sine) -> np.ndarray:
        """Returns the error on each test task after 0 to `K` steps, `[N, K + 1]`."""
        return _errors(learner, tasks.test)

    def by_task(self, tasks: Sine, scores: np.ndarray) -> dict[str, Any]:
        """Returns the final error on each task."""
        return {"loss": scores[:, -1]}

    def scores_by_task(self, tasks: Sine, scores: np.ndarray) -> dict[str, Any]:
        """Returns the errors of each test task, step after step."""
        return {"loss": scores.tolist()}

    def figures(self, config: SineConfig, tasks: Sine, scores: np.ndarray) -> dict[str, Any]:
        """Returns the errors on the test tasks and the budget they had."""
        final = scores[:, -1]
        reported = ("shots", "units", "layers", "warp_units", "tasks", "inner_steps", "meta_steps")
        return {
            "loss": float(final.mean()),
            "loss_std": float(final.std(ddof=1)) if len(final) > 1 else 0.0,
            "loss_ci95": confidence_interval(final),
            "loss_by_step": scores.mean(0).round(6).tolist(),
            "test_tasks": len(final),
            **{name: getattr(config, name) for name in reported},
        }

    def write_plots(self, run: RunDirectory) -> None:
        """Draws the errors along adaptation, on validation, and the meta-training loss."""
        errors = np.asarray(run.read_scores()["loss"])
        plotting.bands(
            {"test tasks": errors},
            run.plots / "adaptation.png",
            xlabel="adaptation step",
            ylabel="mean squared error",
        )
        write_training_plot(run)
        write_validation_plot(run, "loss")


def _errors(learner: Any, data: Any) -> np.ndarray:
    """Returns the mean squared error of each task after 0 to `K` steps, `[N, K + 1]`."""
    y = np.concatenate([task.query[1].numpy() for task in data])
    predictions = learner.predict_along(data).astype("float64")
    return np.mean((predictions - y[:, None]) ** 2, axis=(2, 3))
