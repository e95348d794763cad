"""Hyper-parameters that are searched together."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from warptf.tuning.choices import Choices
from warptf.tuning.range import Range


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Hyper-parameters by name, for the `build_model(hp)` of any KerasTuner tuner.

    Args:
        dimensions: What each hyper-parameter may be.

    >>> import keras_tuner
    >>> space = SearchSpace({"rate": Range(0.01, 1.0, log=True), "filters": Choices((32, 64))})
    >>> space(keras_tuner.HyperParameters())
    {'rate': 0.01, 'filters': 32}
    """

    dimensions: Mapping[str, Range | Choices]

    def __call__(self, hp: Any) -> dict[str, Any]:
        """Adds the hyper-parameters and returns their values.

        Args:
            hp: The `keras_tuner.HyperParameters` of a trial.
        """
        return {name: each.declare(hp, name) for name, each in self.dimensions.items()}

    def decode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values of a trial.

        Args:
            values: `trial.hyperparameters.values`; those of other names are left out.
        """
        return {name: each.decode(values[name]) for name, each in self.dimensions.items()}

    def only(self, *names: str) -> "SearchSpace":
        """Returns some of the hyper-parameters.

        Args:
            *names: Their names.

        Raises:
            ValueError: If there is none of a name.
        """
        for name in names:
            if name not in self.dimensions:
                known = ", ".join(self.dimensions)
                raise ValueError(f"names must be among {known}, got {name!r}.")
        return SearchSpace({name: self.dimensions[name] for name in names})
