"""What an objective and an initialisation learn from one task."""

from typing import NamedTuple

import tensorflow as tf

from warptf.adaptation import Adapted, LossOutput, Tensors


class TaskGradients(NamedTuple):
    r"""Gradients from the adaptation to one task.

    Attributes:
        phi: the gradient for $\phi$.
        hyper: that for the inner optimizer's learned values.
        theta: that for $\theta_0$; `None` where it does not move.
        adapted: the outcome of the adaptation.
        output: $L_{meta}$ after adaptation.
        loss: the loss to report, a scalar.
    """

    phi: Tensors
    hyper: Tensors
    theta: Tensors | None
    adapted: Adapted
    output: LossOutput
    loss: tf.Tensor
