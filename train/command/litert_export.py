"""A run's learner, adapted to one support set, as a LiteRT file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import warptf
from warptf.literals import Quantization
from warptf.partition import input_spec
from warptf.reinforcement import RecurrentAgent
from warptf.tasks.array_files import TooLarge, read_arrays

Support = tuple[np.ndarray, np.ndarray]


def export_agent(learner: Any, out: Path, quantization: Quantization) -> None:
    """Writes a step of a run's agent, which learns from what it remembers.

    Args:
        learner: The learner of an agent.
        out: The file to write.
        quantization: How it is to be quantized.

    Raises:
        ValueError: If it is to be quantized.
    """
    if quantization != "float32":
        raise ValueError(
            f"--quantization {quantization}: the ranges of an agent's integers are learned from "
            "episodes; call warptf.export_litert with representative observations"
        )
    warptf.export_litert(learner.model, out)


def export_adapted(
    learner: Any,
    out: Path,
    quantization: Quantization,
    support: Support,
    steps: int | None,
    batch_size: int | None,
) -> None:
    """Adapts a run's learner to a support set and writes it.

    Args:
        learner: The learner.
        out: The file to write.
        quantization: How it is to be quantized.
        support: Inputs and targets, `[N, ...]`.
        steps: Adaptation steps; those of the run's test tasks if `None`.
        batch_size: Examples of a step of the run; steps on larger support sets draw so many.
    """
    x, y = support
    drawn = batch_size if batch_size is not None and batch_size < len(x) else None
    adapted = learner.adapt(x, y, steps, drawn)
    warptf.export_litert(adapted, out, quantization, x if quantization == "int8" else None)


def is_agent(learner: Any) -> bool:
    """Whether a run's learner acts, and does not adapt to a support set."""
    return isinstance(learner.model, RecurrentAgent)


def read_support(path: Path) -> Support:
    """Returns a support set that a user has saved by `numpy.savez(path, x=x, y=y)`.

    Args:
        path: The file.

    Raises:
        ValueError: If it is not such a file.
    """
    try:
        x, y = read_arrays(path, ("x", "y"))
        return x, y
    except TooLarge as error:
        raise ValueError(
            f"--support {path}: {error}; a few examples of each class are a support set"
        ) from error
    except FileNotFoundError as error:
        raise ValueError(f"--support {path}: there is no such file") from error
    except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"--support {path}: holds no arrays x and y; write it by numpy.savez(FILE, x=x, y=y)"
        ) from error


def first_support(learner: Any, tasks: Any) -> Support:
    """Returns all that a run's first test task is learned from.

    Args:
        learner: The learner.
        tasks: The tasks of the run, with a data set `test`.
    """
    x, y = (part[0].numpy() for part in next(iter(tasks.test)).support[:2])
    if x.ndim == len(input_spec(learner.model).shape):
        return x, y
    # One mini-batch for each step.
    return x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:])
