"""The multi-shot experiment: meta-train on some alphabets, learn others from many steps."""

from typing import Any

import numpy as np

from warptf import plotting, tasks
from warptf.tasks import MultiShot

from ... import sources
from ...engine.experiment import Experiment
from ...engine.flag_names import names_flags
from ...engine.result import area_under_curve, classification_figures
from ...engine.run_directory import RunDirectory
from ...engine.training_plot import write_training_plot
from .config import MultiShotConfig
from .learner import build_learner

Scores = tuple[dict[str, Any], dict[str, Any]]


class MultiShotExperiment(Experiment):
    """Each alphabet is one task.

    The figures are those of the last meta-step, not of the best one on validation.
    """

    name = MultiShotConfig.EXPERIMENT
    config_class = MultiShotConfig
    objectives = ("accuracy", "auc", "loss")

    @names_flags(
        "data",
        bank="the data set",
        test_alphabets="the test alphabets",
        tasks_per_batch="tasks",
        steps="inner_steps",
    )
    def build_tasks(self, config: MultiShotConfig) -> MultiShot:
        """Returns the alphabets as tasks."""
        bank = getattr(tasks, str(sources.find(config.data).alphabets))
        return MultiShot(
            bank(config.data_dir),
            ways=config.ways,
            train_alphabets=config.train_alphabets,
            tasks_per_batch=config.tasks,
            steps=config.inner_steps,
            batch_size=config.batch_size,
            evaluation_steps=config.evaluation_steps,
            evaluation_tasks_per_batch=5,
            query_steps=config.algorithm == "online",
            replay=config.algorithm == "offline",
            seed=config.seed,
        )

    def build_learner(self, config: MultiShotConfig, tasks: MultiShot) -> Any:
        """Returns the compiled meta-learner."""
        return build_learner(config)

    def score_validation(self, learner: Any, tasks: MultiShot) -> dict[str, Any] | None:
        """Returns the figures, and the learning curve, of up to five validation alphabets."""
        if not tasks.describe()["validation"]:
            return None
        # One batch of validation alphabets draws the curves; their number grows as that of the
        # training alphabets falls, and with it would the time.
        scores = learner.evaluate_tasks(tasks.validation.take(1))
        curve = np.mean(scores["support_accuracy"], axis=0, dtype="float64")
        return {
            "loss": float(np.mean(scores["loss"])),
            "accuracy": float(np.mean(scores["accuracy"])),
            "auc": float(area_under_curve(scores["support_accuracy"]).mean()),
            "learning_curve": curve.round(6).tolist(),
        }

    def score(self, learner: Any, tasks: MultiShot) -> Scores:
        """Returns the scores of the test alphabets, transformed as in training and as drawn."""
        return learner.evaluate_tasks(tasks.test), learner.evaluate_tasks(tasks.test_undistorted)

    def scores_by_task(self, tasks: MultiShot, scores: Scores) -> dict[str, Any]:
        """Returns the scores with the names of the alphabets."""
        distorted, undistorted = scores
        return {
            "tasks": tasks.describe()["test"],
            "distorted": {name: values.tolist() for name, values in distorted.items()},
            "undistorted": {name: values.tolist() for name, values in undistorted.items()},
        }

    def figures(self, config: MultiShotConfig, tasks: MultiShot, scores: Scores) -> dict[str, Any]:
        """Returns the figures of the test alphabets and the budget they had."""
        distorted, undistorted = scores
        curves = np.asarray(distorted["support_accuracy"], "float64")
        return {
            **classification_figures(distorted),
            "auc": float(area_under_curve(curves).mean()),
            "accuracy_undistorted": float(np.mean(undistorted["accuracy"], dtype="float64")),
            "filters": config.filters,
            "train_alphabets": config.train_alphabets,
            "tasks": config.tasks,
            "inner_steps": config.inner_steps,
            "batch_size": config.batch_size,
            "meta_steps": config.meta_steps,
            "evaluation_steps": config.evaluation_steps,
        }

    def write_plots(self, run: RunDirectory) -> None:
        """Draws the learning curves and the meta-training loss."""
        rows = run.read_metrics()
        curves = {row["step"]: row["learning_curve"] for row in run.evaluations()}
        if not curves:
            # Nothing was meta-trained, or no alphabet is left for validation: the test tasks'
            # curve.
            accuracies = run.read_scores()["distorted"]["support_accuracy"]
            step = max((row["step"] for row in rows), default=0)
            curves = {step: np.mean(accuracies, axis=0).tolist()}
        plotting.learning_curves(curves, run.plots / "learning_curves.png")
        write_training_plot(run)
