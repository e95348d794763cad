"""The base class of recurrent cells that are fast to differentiate through long episodes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class
from warptf.layers.validation import positive_integer

Product = Callable[[tf.Tensor, keras.Variable], tf.Tensor]


class RecurrentCell(keras.layers.Layer):
    r"""A cell of a recurrent learner, in two parts: what depends on the input alone, and the rest.

    $s_t = \mathrm{advance}(\mathrm{project}(x_t), s_{t-1})$, the first part of the state $s_t$
    being the output $h_t$. Projections are computed for all steps at once where the inputs are
    known. `advance` multiplies by weight matrices through the `product` that it is given: when an
    episode is differentiated, the products that were computed while it was lived need not be
    computed again. Each example of a batch must be treated apart from the others, without random
    numbers.

    Any Keras cell can be used in its place, more slowly.

    Args:
        units: size of the output $h$.
        **kwargs: the arguments of `keras.layers.Layer`.
    """

    state_size: list[int]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer("units", units)
        self.output_size = units
        self.state_size = [units]

    def project(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns what `advance` needs of the inputs.

        Args:
            inputs: $x$, `[N, features]`, the steps of an episode among the `N`.
        """
        return [inputs]

    def advance(
        self, projected: list[tf.Tensor], states: Sequence[tf.Tensor], product: Product
    ) -> list[tf.Tensor]:
        """Returns the states after a step.

        Args:
            projected: what `project` returned.
            states: the states before the step, each `[N, size]`.
            product: multiplies `[N, rows]` by a weight matrix `[rows, columns]`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement advance().")

    def call(self, inputs: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Maps $x_t$ and the states at $t - 1$ to $h_t$ and those at $t$."""
        after = self.advance(self.project(inputs), list(states), self.multiply)
        return after[0], after

    def multiply(self, x: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
        """Multiplies `[N, rows]` by a weight matrix `[rows, columns]`."""
        return tf.matmul(x, self.value_of(kernel))

    def value_of(self, weight: keras.Variable) -> tf.Tensor:
        """Returns a weight in the type that the cell computes in."""
        return tf.cast(tf.convert_to_tensor(weight.value), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}
