"""What adaptation to one task moves."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from warptf.adaptation.parameters import Parameters, Tensors


class InnerState(NamedTuple):
    r"""Everything that adaptation moves, at one step.

    Attributes:
        theta: $\theta_k$, the task parameters.
        context: $c_k$, the context variables.
        optimizer: the inner optimizer's state, stored together with $\theta_k$.
        state: the learner's state $s$ (batch-norm statistics, random state).
    """

    theta: Tensors
    context: Tensors
    optimizer: Tensors
    state: Tensors

    @property
    def moving(self) -> Tensors:
        """What the inner optimizer moves, in the learner's order: task parameters, then context."""
        return [*self.theta, *self.context]

    def moved(self, values: Sequence[tf.Tensor]) -> "InnerState":
        """Returns the state with other values of what moves.

        Args:
            values: one for each of `moving`.
        """
        count = len(self.theta)
        return self._replace(theta=list(values[:count]), context=list(values[count:]))


class Start(NamedTuple):
    r"""Where adaptation to one task starts.

    Attributes:
        state: the state at $k = 0$.
        shared: what the task shares with all others, $\phi$ and the learned values among it.
    """

    state: InnerState
    shared: Parameters
