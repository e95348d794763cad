"""Truth that needs none of the library: central differences and a learner made of plain Keras."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Arrays = list[np.ndarray]
Batch = tuple[np.ndarray, np.ndarray]


def double_precision() -> contextlib.AbstractContextManager[None]:
    """Makes float64 what Keras computes in."""
    return _precision("float64")


def single_precision() -> contextlib.AbstractContextManager[None]:
    """Makes float32 what Keras computes in, within `double_precision`."""
    return _precision("float32")


@contextlib.contextmanager
def _precision(name: str) -> Iterator[None]:
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def directional_difference(
    function: Callable[[Arrays], Any],
    point: Sequence[Any],
    direction: Sequence[Any],
    step: float = 1e-3,
) -> np.ndarray:
    """The derivative along a direction, by central differences with an error of order step^6."""

    def slope(size: float) -> np.ndarray:
        ahead, behind = (
            np.asarray(
                function(
                    [
                        np.asarray(p) + s * np.asarray(d)
                        for p, d in zip(point, direction, strict=True)
                    ]
                )
            )
            for s in (size, -size)
        )
        return (ahead - behind) / (2 * size)

    wide, middle, narrow = slope(step), slope(step / 2), slope(step / 4)
    first, second = (4 * middle - wide) / 3, (4 * narrow - middle) / 3
    return (16 * second - first) / 15


def difference_gradient(
    function: Callable[[Arrays], Any], point: Sequence[Any], step: float = 1e-3
) -> Arrays:
    """The gradient of a scalar function, entry by entry."""
    gradient = [np.zeros(np.shape(p)) for p in point]
    for array in gradient:
        for index in np.ndindex(array.shape):
            unit = [np.zeros_like(g) for g in gradient]
            unit[[g is array for g in gradient].index(True)][index] = 1.0
            array[index] = directional_difference(function, point, unit, step)
    return gradient


def directions(point: Sequence[Any], count: int = 3, seed: int = 7) -> list[Arrays]:
    """Random directions in which to compare derivatives."""
    rng = np.random.default_rng(seed)
    return [[rng.normal(size=np.shape(p)) for p in point] for _ in range(count)]


def inner_product(left: Sequence[Any], right: Sequence[Any]) -> float:
    """The inner product of two lists of arrays."""
    return float(
        sum(np.sum(np.asarray(a) * np.asarray(b)) for a, b in zip(left, right, strict=True))
    )


def assert_gradient(
    gradient: Sequence[Any],
    function: Callable[[Arrays], Any],
    point: Sequence[Any],
    rtol: float = 1e-6,
    step: float = 1e-3,
) -> None:
    """Compares a gradient with central differences along random directions."""
    assert len(gradient) == len(point)
    for direction in directions(point):
        expected = directional_difference(function, point, direction, step)
        assert abs(expected) > 1e-6, "the function does not depend on the point"
        np.testing.assert_allclose(inner_product(gradient, direction), expected, rtol=rtol)


def assert_close(actual: Sequence[Any], expected: Sequence[Any], rtol: float = 1e-6) -> None:
    """Compares two lists of arrays, relative to the size of each whole list."""
    assert [np.shape(a) for a in actual] == [np.shape(e) for e in expected]
    scale = np.sqrt(inner_product(expected, expected))
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(e), rtol=0, atol=rtol * scale)


class PlainLearner:
    """A Keras model, called the ordinary way on assigned weights, and differentiated once.

    Args:
        model: the model.
        warp: names of the layers whose weights are phi.
        context: names of the weights in those layers that are theta all the same.
        loss: the loss, `loss(y, prediction)`.
    """

    def __init__(
        self,
        model: keras.Model,
        warp: Sequence[str],
        context: Sequence[str],
        loss: Callable[..., Any],
    ) -> None:
        groups: dict[bool, list[keras.Variable]] = {False: [], True: []}
        for layer in model.layers:
            for variable in layer.trainable_variables:
                shared = layer.name in warp and variable.name not in context
                groups[shared].append(variable)
        self.theta_variables, self.phi_variables = groups[False], groups[True]

        @tf.function(autograph=False)
        def evaluate(values: Any, x: tf.Tensor, y: tf.Tensor) -> Any:
            variables = [*self.theta_variables, *self.phi_variables]
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(loss(y, model(x, training=True)))
                value += sum(model.losses)
            sources = [v.value for v in variables]
            return value, tape.gradient(value, sources, unconnected_gradients="zero")

        self._evaluate = evaluate

    def values(self) -> tuple[Arrays, Arrays]:
        """Returns theta and phi as they stand."""
        return (
            [np.array(v) for v in self.theta_variables],
            [np.array(v) for v in self.phi_variables],
        )

    def loss(self, theta: Arrays, phi: Arrays, batch: Batch) -> float:
        """Returns the loss in training mode."""
        return self.gradients(theta, phi, batch)[0]

    def gradients(self, theta: Arrays, phi: Arrays, batch: Batch) -> tuple[float, Arrays, Arrays]:
        """Returns the loss and its gradients in theta and in phi."""
        loss, gradients = self._evaluate(
            [tf.constant(v) for v in (*theta, *phi)], *map(tf.constant, batch)
        )
        arrays = [np.array(tf.convert_to_tensor(g)) for g in gradients]
        return float(loss), arrays[: len(theta)], arrays[len(theta) :]


def leap_gradient(
    thetas: list[Arrays],
    losses: list[float],
    slopes: list[Arrays],
    length: bool,
    include_loss: bool,
    stabilizer: bool,
) -> Arrays:
    """Eq. 10 and 13 term by term, for the points, losses and slopes of one task's path."""
    total = [np.zeros_like(t) for t in thetas[0]]
    for k in range(1, len(thetas)):
        moves = [b - a for a, b in zip(thetas[k - 1], thetas[k], strict=True)]
        rise = losses[k] - losses[k - 1] if include_loss else 0.0
        norm = np.sqrt(inner_product(moves, moves) + rise**2) if length else 1.0
        if stabilizer:
            rise = -abs(rise)
        total = [
            t - (rise * g + m) / norm for t, g, m in zip(total, slopes[k - 1], moves, strict=True)
        ]
    return total


class NumpySGD:
    """Gradient descent on lists of arrays: m = mu m - alpha g, theta = theta + m."""

    def __init__(self, rate: float, momentum: float = 0.0, nesterov: bool = False) -> None:
        self.rate, self.momentum, self.nesterov = rate, momentum, nesterov

    def init(self, theta: Arrays) -> Arrays:
        return [np.zeros_like(t) for t in theta]

    def update(self, theta: Arrays, gradients: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
        new = [self.momentum * m - self.rate * g for m, g in zip(state, gradients, strict=True)]
        moves = new
        if self.nesterov:
            moves = [self.momentum * m - self.rate * g for m, g in zip(new, gradients, strict=True)]
        return [t + m for t, m in zip(theta, moves, strict=True)], new


class NumpyAdam:
    """Algorithm 1 of Kingma and Ba, as printed there."""

    def __init__(
        self, rate: float, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
    ) -> None:
        self.rate, self.beta_1, self.beta_2, self.epsilon = rate, beta_1, beta_2, epsilon

    def init(self, theta: Arrays) -> Any:
        return [np.zeros_like(t) for t in theta], [np.zeros_like(t) for t in theta], 0

    def update(self, theta: Arrays, gradients: Arrays, state: Any) -> tuple[Arrays, Any]:
        means, squares, count = state
        count += 1
        means = [
            self.beta_1 * m + (1 - self.beta_1) * g for m, g in zip(means, gradients, strict=True)
        ]
        squares = [
            self.beta_2 * v + (1 - self.beta_2) * g**2
            for v, g in zip(squares, gradients, strict=True)
        ]
        moved = [
            t
            - self.rate
            * (m / (1 - self.beta_1**count))
            / (np.sqrt(v / (1 - self.beta_2**count)) + self.epsilon)
            for t, m, v in zip(theta, means, squares, strict=True)
        ]
        return moved, (means, squares, count)


def flat_adam_state(state: Any) -> Arrays:
    """Adam's state as the library lays it out."""
    means, squares, count = state
    return [*means, *squares, np.float32(count)]
