"""Reptile."""

from typing import Any

from warptf.adaptation import Adapted, Tensors
from warptf.initializations.initialization import Initialization


class Reptile(Initialization):
    r"""Moves the initialisation towards adapted parameters: gradient $\theta_0 - \theta_K$.

    Example:
        >>> import warptf
        >>> warptf.initializations.Reptile().get_config()
        {}

    Reference:
        Nichol et al., On First-Order Meta-Learning Algorithms, arXiv 1803.02999.
    """

    def end(self, adapted: Adapted, carry: Any) -> Tensors:
        """Returns the way back from the adapted parameters."""
        theta = adapted.start.shared.theta
        return [a - b for a, b in zip(theta, adapted.final.theta, strict=True)]
