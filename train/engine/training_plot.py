"""Figures of meta-training over meta-steps, drawn from what a run has measured."""

from collections.abc import Mapping
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
    """Draws a figure of the validation tasks, that of the untrained learner as a level beside it.

    Args:
        run: The run.
        name: The figure.
    """
    path = run.plots / f"validation_{name}.png"
    rows = run.evaluations()
    begun = len(rows) > 1 and rows[0]["step"] == 0
    levels = {"untrained": rows[0][name]} if begun else None
    _write(rows, name, f"validation {name}", path, levels)


def _write(
    rows: list[dict[str, Any]],
    name: str,
    label: str,
    path: Path,
    levels: Mapping[str, float] | None = None,
) -> None:
    if rows:
        steps, values = [row["step"] for row in rows], [row[name] for row in rows]
        plotting.meta_training(steps, values, path, ylabel=label, levels=levels)
