"""The metric of an explicit warp."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from warptf.diagnostics.degenerate_warp_warning import warn_if_degenerate


class Metric(NamedTuple):
    r"""The inverse metric $G^{-1} = D\Omega \, D\Omega^\top$ at some points.

    Args:
        inverse: $G^{-1}$, `[..., D', D']`.
        eigenvalues: its eigenvalues in ascending order, `[..., D']`.
        condition: the largest divided by the smallest, `[...]`; infinite for a singular warp.
    """

    inverse: np.ndarray
    eigenvalues: np.ndarray
    condition: np.ndarray


def metric(warp: Callable[[tf.Tensor], Any], theta: Any, limit: float = 1e6) -> Metric:
    r"""Returns the metric of an explicit warp $\gamma = \Omega(\theta)$ along a trajectory.

    A step $-\alpha \nabla_\theta L(\Omega(\theta))$ moves $\gamma$ by $-\alpha G^{-1} \nabla_\gamma
    L(\gamma) + O(\alpha^2)$, $G^{-1} = D\Omega D\Omega^\top$ (Eq. 5 and 6): descent in the warped
    space is descent on the surface itself with the gradient preconditioned by $G^{-1}$. The warp is
    valid where $D\Omega$ is not singular.

    Args:
        warp: $\Omega$, differentiable, from points `[N, D]` to points `[N, D']`, each mapped by
            itself.
        theta: the points, `[..., D]`, such as a trajectory of `MetaLearner.trajectories`.
        limit: condition number above which to warn. Defaults to 1e6.

    Returns:
        The metric at each of the points.

    Raises:
        ValueError: `theta` has no axis, or holds NaN.

    Warns:
        DegenerateWarpWarning: where the condition number exceeds `limit`.

    Example:
        >>> import tensorflow as tf
        >>> from warptf.diagnostics import metric
        >>> stretch = metric(lambda theta: theta * [1.0, 3.0], [[0.0, 0.0], [5.0, 1.0]])
        >>> stretch.eigenvalues.tolist(), stretch.condition.tolist()
        ([[1.0, 9.0], [1.0, 9.0]], [9.0, 9.0])

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, section 3.
    """
    points = tf.convert_to_tensor(theta)
    if points.shape.rank == 0 or not np.isfinite(points.numpy()).all():
        raise ValueError(f"`theta` must hold finite points [..., D], received {theta!r}.")
    flat = tf.reshape(points, [-1, points.shape[-1]])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(flat)
        gamma = tf.convert_to_tensor(warp(flat))
    jacobian = tape.batch_jacobian(gamma, flat).numpy().astype("float64")
    inverse = jacobian @ jacobian.swapaxes(-1, -2)
    values = np.linalg.eigvalsh(inverse)
    shape = tuple(points.shape[:-1])
    condition = condition_number(values)
    warn_if_degenerate(condition, limit)
    return Metric(
        inverse.reshape(*shape, *inverse.shape[1:]),
        values.reshape(*shape, -1),
        condition.reshape(shape),
    )


def condition_number(eigenvalues: np.ndarray) -> np.ndarray:
    """Returns the largest of eigenvalues `[..., D]` in ascending order divided by the smallest.

    Args:
        eigenvalues: those of a matrix without negative ones.
    """
    largest = eigenvalues[..., -1]
    # What rounding leaves of a zero is no direction that descent could move along.
    zero = largest * np.finfo("float32").eps ** 2
    smallest = np.where(eigenvalues[..., 0] > zero, eigenvalues[..., 0], 0.0)
    return np.divide(largest, smallest, out=np.full(largest.shape, np.inf), where=smallest > 0)
