"""The options of a search, besides those of the experiment that is searched."""

import dataclasses
import typing
from typing import Any, Literal

from ..engine.run_options import flag

Objective = Literal["accuracy", "auc", "loss", "reward"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """What is searched, by what, and for how long."""

    tuner: Literal["random", "hyperband", "bayesian", "grid"] = "random"
    """KerasTuner's search: at random, hyperband (many short trials, the best of them again and
    longer), bayesian, or all combinations."""
    max_trials: int = 20
    """Trials at most. A trial is one meta-training, scored on validation tasks."""
    objective: Objective | None = None
    """Figure of the validation tasks to search by; by default the one that the experiment chooses
    its learner by. auc is the area under the learning curve of adaptation."""
    space: tuple[str, ...] = ()
    """Fields to search, each NAME=A,B,C or NAME=LOW:HIGH or NAME=LOW:HIGH:log; by default rates,
    steps, widths, warp architecture and meta-batch around the values that the other flags lead to,
    without fields that have a flag of their own."""
    workers: int = 1
    """Processes on this machine that run trials side by side."""

    NOT_COMPARED: typing.ClassVar[frozenset[str]] = frozenset({"max_trials", "workers"})
    """Fields that may differ between a search and its continuation."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> typing.Self:
        """Returns the options that `dataclasses.asdict` and JSON made `values` of.

        Args:
            values: The object.
        """
        return cls(**{**values, "space": tuple(values["space"])})

    def differences(self, other: "TuneOptions") -> list[str]:
        """Returns `flag: other's value, own value` for every field that decides the trials.

        Args:
            other: The options to compare with.
        """
        return [
            f"{flag(field.name)} was {getattr(other, field.name)}, now {getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if field.name not in self.NOT_COMPARED
            and getattr(self, field.name) != getattr(other, field.name)
        ]

    def validate(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: For the first bad one, naming its flag, its value and the remedy.
        """
        for name in ("max_trials", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: give at least 1")
