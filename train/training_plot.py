"""Figures of meta-training over meta-steps, drawn from what a run has measured."""

from pathlib import Path
from typing import Any

from warptf import plotting

from .run_directory import RunDirectory


def write_training_plot(run: RunDirectory) -> None:
    """Draws the meta-training loss, if anything was meta-trained.

    Args:
        run: The run.
    """
    _write(run.trainings(), "loss", "loss", run.plots / "meta_training.png")


def write_reward_plot(run: RunDirectory) -> None:
    """Draws the reward along meta-training, if anything was meta-trained.

    Args:
        run: The run.
    """
    _write(run.trainings(), "reward", "reward of an episode", run.plots / "reward.png")


def write_validation_plot(run: RunDirectory, name: str) -> None:
    """Draws a figure of the validation tasks, if there was an evaluation.

    Args:
        run: The run.
        name: The figure.
    """
    path = run.plots / f"validation_{name}.png"
    _write(run.evaluations(), name, f"validation {name}", path)


def _write(rows: list[dict[str, Any]], name: str, label: str, path: Path) -> None:
    if rows:
        steps, values = [row["step"] for row in rows], [row[name] for row in rows]
        plotting.meta_training(steps, values, path, ylabel=label)
