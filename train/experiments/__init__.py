"""The experiments, by name."""

from .registry import DEFAULT_EXPERIMENT, EXPERIMENTS, ExperimentEntry

__all__ = ["DEFAULT_EXPERIMENT", "EXPERIMENTS", "ExperimentEntry"]
