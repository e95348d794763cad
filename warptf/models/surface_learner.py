"""The learner of the experiments on two-dimensional surfaces."""

import keras

from warptf.layers.displacement import Displacement
from warptf.layers.initializers import derive_seed
from warptf.layers.validation import optional_positive_integer
from warptf.layers.warp_dense import WarpDense
from warptf.models.learner_parts import check_seed
from warptf.models.warp_architectures import glorot_uniform


def surface_learner(warp_units: int | None = 30, seed: int = 0) -> keras.Model:
    r"""Builds the learner whose parameters are a point $\theta$ of the plane.

    Its prediction is the point $x = \Omega(\theta)$ of the surface. The warp $\Omega$ is a network
    of one hidden layer of tanh units and a linear one; without it $x = \theta$. The input is where
    $\theta$ starts.

    Args:
        warp_units: Hidden units of the warp; `None` for no warp. Defaults to 30.
        seed: A non-negative integer from which all initial values derive.

    Returns:
        A built `keras.Model` that maps starts `[B, 2]` to points `[B, 2]`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> import warptf
        >>> parts = warptf.partition(warptf.models.surface_learner())
        >>> len(parts.task_variables), len(parts.warp_variables)
        (1, 4)

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix D.
    """
    optional_positive_integer("warp_units", warp_units)
    check_seed(seed)
    inputs = keras.Input((2,), name="start")
    x = Displacement(name="theta")(inputs)
    if warp_units is not None:
        initializers = [glorot_uniform(derive_seed(seed, 1, layer)) for layer in (0, 1)]
        x = WarpDense(
            warp_units, activation="tanh", kernel_initializer=initializers[0], name="warp_0"
        )(x)
        x = WarpDense(2, kernel_initializer=initializers[1], name="warp_1")(x)
    return keras.Model(inputs, x, name="surface_learner")
