"""An initialisation that is not learned."""

from typing import Any

from warptf.adaptation import Adapted
from warptf.initializations.initialization import Initialization


class Fixed(Initialization):
    r"""Leaves $\theta_0$ as it is: $\lambda = 0$ in Eq. 9.

    Example:
        >>> import warptf
        >>> warptf.initializations.Fixed().learns
        False

    Reference:
        arXiv 1909.00025, table 4.
    """

    @property
    def learns(self) -> bool:
        r"""Whether $\theta_0$ moves."""
        return False

    def end(self, adapted: Adapted, carry: Any) -> None:
        """Learns nothing."""
