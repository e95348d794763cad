"""Losses that Keras does not have."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("warptf")
class HalfSquaredError(keras.losses.Loss):
    r"""Half of the mean squared error, $\frac{1}{2 D} \sum_d (y_d - \hat y_d)^2$.

    Args:
        name: Name of the loss.
        **kwargs: Further arguments of `keras.losses.Loss`.

    >>> import numpy as np, warptf
    >>> float(warptf.losses.HalfSquaredError()(np.array([[1.0]]), np.array([[3.0]])))
    2.0

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix J.
    """

    def __init__(self, name: str = "half_squared_error", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each example, `[B]`.

        Args:
            y_true: Targets `[B, D]`.
            y_pred: Predictions, alike.
        """
        return ops.mean(ops.square(y_pred - y_true), axis=-1) / 2


@keras.saving.register_keras_serializable("warptf")
class SurfaceValue(keras.losses.Loss):
    r"""The value of a two-dimensional loss surface at the predicted point $x$.

    $f(x_1, x_2) = b_1 (a_1 - x_1)^2 e^{-x_1^2 - (x_2 + a_2)^2} - b_2 (x_1 / s - x_1^3 - x_2^5)
    e^{-x_1^2 - x_2^2} - b_3 e^{-(x_1 + a_3)^2 - x_2^2}$.

    Args:
        name: Name of the loss.
        **kwargs: Further arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: the parameters $(s, a_1, a_2, a_3, b_1, b_2, b_3)$, `[B, 7]`.
        y_pred: the points, `[B, 2]`.

    >>> import numpy as np, warptf
    >>> flat_but_for_a_pit = np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]])
    >>> float(warptf.losses.SurfaceValue()(flat_but_for_a_pit, np.zeros((1, 2))))
    -2.0

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix D
        (which prints $x_1$ twice in the last exponent; the second is $x_2$).
    """

    def __init__(self, name: str = "surface_value", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the value at each point, `[B]`."""
        s, a_1, a_2, a_3, b_1, b_2, b_3 = (y_true[..., i] for i in range(7))
        x_1, x_2 = y_pred[..., 0], y_pred[..., 1]
        first = b_1 * (a_1 - x_1) ** 2 * ops.exp(-(x_1**2) - (x_2 + a_2) ** 2)
        second = b_2 * (x_1 / s - x_1**3 - x_2**5) * ops.exp(-(x_1**2) - x_2**2)
        third = b_3 * ops.exp(-((x_1 + a_3) ** 2) - x_2**2)
        return first - second - third
