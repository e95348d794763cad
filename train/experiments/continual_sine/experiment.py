"""The continual experiment: sub-tasks that are seen one after another, and all to be kept."""

from typing import Any

import numpy as np

from warptf import metrics, plotting
from warptf.tasks import ContinualSine, ContinualTasks

from ...engine.experiment import Experiment
from ...engine.result import confidence_interval
from ...engine.run_directory import RunDirectory
from ...engine.selection import BY_TASK, by_task
from ...engine.training_plot import write_training_plot, write_validation_plot
from .config import ContinualSineConfig
from .learner import build_learner
from .tasks import Sequences, build_tasks

ORDERS = ("in_order", "shuffled")
_FITTED = 3
_DIGITS = 6


class ContinualSineExperiment(Experiment):
    """Each sequence of sub-tasks is one task; the figure is the mean loss over all sub-tasks."""

    name = ContinualSineConfig.EXPERIMENT
    config_class = ContinualSineConfig
    monitored = "loss"
    reports_best = True

    def build_tasks(self, config: ContinualSineConfig) -> Sequences:
        """Returns the sequences."""
        return build_tasks(config)

    def build_learner(self, config: ContinualSineConfig, tasks: Sequences) -> Any:
        """Returns the compiled meta-learner."""
        return build_learner(config, tasks.in_order)

    def score_validation(self, learner: Any, tasks: Sequences) -> dict[str, Any]:
        """Returns figures of the validation sequences."""
        scores = _scores(learner, tasks.in_order, "validation")
        figures = _figures(scores)
        names = ("loss", "accuracy", "forgetting")
        return {
            **{name: figures[name] for name in names if name in figures},
            BY_TASK: by_task(_final(scores)),
        }

    def score(self, learner: Any, tasks: Sequences) -> dict[str, Any]:
        """Returns scores of the test sequences in both orders, and curves fitted to some."""
        scores: dict[str, Any] = {
            order: _scores(learner, getattr(tasks, order), "test") for order in ORDERS
        }
        if isinstance(tasks.in_order, ContinualSine):
            scores["fits"] = _fits(learner, tasks.in_order)
        return scores

    def by_task(self, tasks: Sequences, scores: dict[str, Any]) -> dict[str, Any]:
        """Returns the final loss, and accuracy, of each sequence in the order of meta-training."""
        return _final(scores["in_order"])

    def scores_by_task(self, tasks: Sequences, scores: dict[str, Any]) -> dict[str, Any]:
        """Returns the scores by sequence, step and sub-task, the latter as they are seen."""
        rounded = {
            kind: {name: values.round(_DIGITS).tolist() for name, values in arrays.items()}
            for kind, arrays in scores.items()
        }
        orders = {name: list(getattr(tasks, name).order) for name in ORDERS}
        return {"orders": orders, "sub_task_steps": tasks.in_order.steps, **rounded}

    def figures(
        self, config: ContinualSineConfig, tasks: Sequences, scores: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns the figures of the test sequences and the budget they had."""
        reported = (
            "inner_rate",
            "tasks",
            "sub_tasks",
            "sub_task_steps",
            "batch_size",
            "meta_steps",
        )
        shuffled = _figures(scores["shuffled"])
        return {
            **_figures(scores["in_order"]),
            **{f"{name}_shuffled": value for name, value in shuffled.items()},
            "test_tasks": config.test_tasks,
            **{name: getattr(config, name) for name in reported},
        }

    def write_plots(self, run: RunDirectory) -> None:
        """Draws the loss of each sub-task in both orders, fitted curves, and meta-training."""
        scores = run.read_scores()
        for order in ORDERS:
            losses = np.asarray(scores[order]["loss"])
            numbers = scores["orders"][order]
            plotting.bands(
                {f"sub-task {number}": losses[:, :, i] for i, number in enumerate(numbers)},
                run.plots / f"losses_{order}.png",
                xlabel="adaptation step",
                ylabel="loss",
                marks=range(0, losses.shape[1], scores["sub_task_steps"]),
                log=True,
            )
        if "fits" in scores:
            plotting.fitted_curves(
                **{name: np.asarray(values) for name, values in scores["fits"].items()},
                path=run.plots / "fits.png",
            )
        write_training_plot(run)
        write_validation_plot(run, "loss")


def _scores(learner: Any, tasks: ContinualTasks, split: str) -> dict[str, np.ndarray]:
    """Returns figures `[N, K + 1, T]` before adaptation and after each step."""
    data = getattr(tasks, split)
    targets = np.concatenate([task.query[1].numpy() for task in data])[:, None]
    predictions = learner.predict_along(data).astype("float64")
    if isinstance(tasks, ContinualSine):
        each = {"loss": np.mean((predictions - targets) ** 2, axis=-1) / 2}
    else:
        each = _classification(predictions, targets)
    return {
        name: values.reshape(*values.shape[:2], tasks.sub_tasks, -1).mean(-1)
        for name, values in each.items()
    }


def _classification(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the loss and the correctness of each example, `[N, K + 1, T * Q]`."""
    labels = np.broadcast_to(labels, logits.shape[:-1])
    shifted = logits - logits.max(-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(-1))
    chosen = np.take_along_axis(shifted, labels[..., None], -1)[..., 0]
    return {"loss": log_sum - chosen, "accuracy": (logits.argmax(-1) == labels).astype("float64")}


def _figures(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    losses = scores["loss"]
    final, curves = losses[:, -1].mean(-1), losses.mean(0).T
    forgotten, learned = metrics.forgetting(curves), metrics.plasticity(curves)
    figures: dict[str, Any] = {
        "loss": float(final.mean()),
        "loss_ci95": confidence_interval(final),
        "loss_before": float(losses[:, 0].mean()),
        "loss_by_sub_task": losses[:, -1].mean(0).round(_DIGITS).tolist(),
        "loss_forgotten": float((curves[:, -1] - curves.min(axis=1)).mean()),
        "forgetting": _mean_where_learned(forgotten),
        "plasticity": float(learned.mean()),
        "forgetting_by_sub_task": [
            None if np.isnan(value) else round(value, _DIGITS) for value in forgotten.tolist()
        ],
        "plasticity_by_sub_task": learned.round(_DIGITS).tolist(),
    }
    if "accuracy" in scores:
        accuracy = scores["accuracy"][:, -1]
        figures["accuracy"] = float(accuracy.mean())
        figures["accuracy_ci95"] = confidence_interval(accuracy.mean(-1))
        figures["accuracy_by_sub_task"] = accuracy.mean(0).round(_DIGITS).tolist()
    return figures


def _final(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the means over sub-tasks after the last step, `[N]` of figures `[N, K + 1, T]`."""
    return {name: values[:, -1].mean(-1) for name, values in scores.items()}


def _mean_where_learned(forgotten: np.ndarray) -> float:
    """Returns the mean over sub-tasks of which something was learned; 0 if there are none."""
    defined = forgotten[~np.isnan(forgotten)]
    return float(defined.mean()) if defined.size else 0.0


def _fits(learner: Any, tasks: ContinualSine) -> dict[str, np.ndarray]:
    """Returns some test curves with what is predicted of them after each sub-task."""
    data = tasks.test_curves(_FITTED)
    (task,) = data
    predictions = learner.predict_along(data).astype("float64")[:, :: tasks.steps, :, 0]
    x, truth = (part.numpy()[..., 0] for part in task.query)
    return {"x": x[0], "truth": truth, "fitted": predictions}
