"""The figures that learners are judged by, with their names, directions and formats."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of merit.

    Args:
        name: What results and evaluations call it.
        direction: Whether more of it is better, or less.
        digits: Digits behind the point where it is shown.
        ranks: Whether runs that have it are ranked by it.

    >>> Figure("loss", "min").signed(0.25)
    -0.25
    """

    name: str
    direction: Literal["max", "min"] = "max"
    digits: int = 3
    ranks: bool = False

    def signed(self, value: float) -> float:
        """Returns a value of which more is better.

        Args:
            value: A value of the figure.
        """
        return value if self.direction == "max" else -value

    def show(self, value: float) -> str:
        """Returns a value as a table has it.

        Args:
            value: The value.

        >>> Figure("seconds", "min", digits=0).show(12.6)
        '13'
        """
        return f"{value:.{self.digits}f}"


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("accuracy", ranks=True),
        Figure("accuracy_undistorted"),
        Figure("macro_f1"),
        Figure("auc"),
        Figure("reward", ranks=True),
        Figure("loss", "min", ranks=True),
        Figure("seconds", "min", digits=0),
    )
}
"""Those that runs are compared by, where they have them."""
RANKING = tuple(name for name, figure in FIGURES.items() if figure.ranks)
"""Names of those that runs are ranked by: the first that they have."""
