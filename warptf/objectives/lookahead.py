"""A term of a warp meta-objective."""

from typing import NamedTuple

import tensorflow as tf

from warptf.adaptation import InnerStep, Tensors


class Lookahead(NamedTuple):
    r"""One term of the warp meta-objective with its gradients.

    Attributes:
        step: the inner step looked ahead, or `None` where none was taken.
        meta_loss: $L_{meta}$ after the step, a scalar.
        phi_gradient: its gradient with respect to $\phi$.
        hyper_gradient: its gradient with respect to the inner optimizer's learned values.
        theta_gradient: its gradient with respect to what moves at $k$, where layers start from the
            support set and $\theta_k$ moves with them; else `None`.
    """

    step: InnerStep | None
    meta_loss: tf.Tensor
    phi_gradient: Tensors
    hyper_gradient: Tensors
    theta_gradient: Tensors | None = None
