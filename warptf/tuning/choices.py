"""A hyper-parameter that takes one of some values."""

import dataclasses
from typing import Any

_OF_KERAS_TUNER = (bool, int, float, str)


@dataclasses.dataclass(frozen=True)
class Choices:
    """One of some values.

    Args:
        values: The values, in their order where they have one; values of several types, and `None`,
            are known to KerasTuner by their text.

    Raises:
        ValueError: If there is no value, or one comes twice.

    >>> import keras_tuner
    >>> Choices(("conv3x3", None)).declare(keras_tuner.HyperParameters(), "warp")
    'conv3x3'
    >>> Choices(("conv3x3", None)).decode("None") is None
    True
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Checks the values."""
        object.__setattr__(self, "values", tuple(self.values))
        texts = [str(value) for value in self.values]
        if not texts or len(set(texts)) < len(texts):
            raise ValueError(f"values must be one or more, each once, got {self.values}.")

    @property
    def examples(self) -> tuple[Any, ...]:
        """The values."""
        return self.values

    @property
    def log(self) -> bool:
        """Whether the values are spread over orders of magnitude: that is for ranges to say."""
        return False

    def declare(self, hp: Any, name: str) -> Any:
        """Adds the hyper-parameter and returns its value.

        Args:
            hp: The `keras_tuner.HyperParameters` of a trial.
            name: What the hyper-parameter is called.
        """
        return self.decode(hp.Choice(name, list(self._known)))

    def decode(self, value: Any) -> Any:
        """Returns one of the values from what KerasTuner keeps for it.

        Args:
            value: A value of the hyper-parameter in a trial.
        """
        return self._known[value]

    @property
    def _known(self) -> dict[Any, Any]:
        kinds = {type(value) for value in self.values}
        plain = len(kinds) == 1 and kinds <= set(_OF_KERAS_TUNER)
        return {value if plain else str(value): value for value in self.values}
