"""All that meta-training learns, as values."""

from typing import NamedTuple

import tensorflow as tf

Tensors = list[tf.Tensor]


class Parameters(NamedTuple):
    r"""What all tasks share: where adaptation starts, and what it leaves as it is.

    Attributes:
        theta: $\theta_0$, the initialisation of the task parameters.
        context: where context variables start, which is zero for every task.
        phi: $\phi$, the warp parameters.
        hyper: learned values of the inner optimizer.
    """

    theta: Tensors
    context: Tensors
    phi: Tensors
    hyper: Tensors

    @property
    def moving(self) -> Tensors:
        """What the inner loop moves, in the learner's order: task parameters, then context."""
        return [*self.theta, *self.context]
