"""Initialisations whose inner problem is regularised."""

from typing import Any

from warptf.initializations.initialization import Initialization
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.inner_optimizers.proximal import Proximal


class ProximalInitialization(Initialization):
    r"""The base of initialisations that take $\theta_K$ for the minimum of a regularised loss.

    The inner problem is $\min_\theta L_{task}(\theta) + \frac{\rho}{2} \|\theta - \theta_0\|^2$; a
    meta-learner solves it with its inner optimizer made `warptf.inner_optimizers.Proximal`, in
    training, evaluation and adaptation alike.

    Args:
        proximal_weight: $\rho > 0$.

    Raises:
        ValueError: a weight that is not positive and finite.
    """

    def __init__(self, proximal_weight: float = 1.0) -> None:
        self.proximal_weight = positive_number("proximal_weight", proximal_weight)

    def inner_optimizer(self, optimizer: InnerOptimizer) -> InnerOptimizer:
        r"""Returns `optimizer` with the pull towards $\theta_0$.

        Args:
            optimizer: the meta-learner's inner optimizer, regularised already or not.

        Raises:
            ValueError: it is regularised with another weight.
        """
        if optimizer.proximal_weight is None:
            return Proximal(optimizer, self.proximal_weight)
        if optimizer.proximal_weight != self.proximal_weight:
            raise ValueError(
                f"inner_optimizer is Proximal with weight={optimizer.proximal_weight}, but the "
                f"initialization has proximal_weight={self.proximal_weight}: give both the same, "
                "or an inner optimizer that is not Proximal."
            )
        return optimizer

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"proximal_weight": self.proximal_weight}


def positive_number(name: str, value: float) -> float:
    """Returns `value` as a float if it is positive and finite.

    Args:
        name: the argument's name, for the message.
        value: the value received.

    Raises:
        ValueError: it is not.
    """
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}.")
    return float(value)
