"""Feature-wise linear modulation by a context vector."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.context_vector import ContextVector
from warptf.layers.validation import channel_count, positive_integer
from warptf.layers.warp_layer import WarpLayer


class ContextFiLM(WarpLayer):
    r"""Scales and shifts channels by a context: $h \odot (1 + \gamma) + \beta$.

    $[\gamma, \beta] = c W + b$. The context vector $c$ is task state: it starts from zero for every
    task and the inner loop adapts it. The map $W$, $b$ from contexts to modulations is shared by
    all tasks and learned with the warp parameters. $b$ starts from zero, so that the layer starts
    as the identity; $W$ does not, or no context could ever be learned. Around it, wrap all layers
    in `warptf.layers.Warp` to adapt the context alone, as CAVIA does.

    Args:
        context_size: entries of $c$. Defaults to 100, of the paper's image experiments.
        kernel_initializer: initialises $W$. Defaults to `"glorot_uniform"`.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, ..., channels]`.

    Returns:
        The same shape as the inputs.

    Raises:
        ValueError: `context_size` is not positive, or the number of channels is unknown.

    Example:
        >>> import keras, warptf
        >>> body = warptf.layers.Warp(keras.layers.Dense(4))
        >>> model = keras.Sequential([keras.Input((3,)), body, warptf.layers.ContextFiLM(5)])
        >>> parts = warptf.partition(model)
        >>> [tuple(v.shape) for v in parts.context_variables], len(parts.warp_variables)
        ([(5,)], 4)

    Reference:
        Zintgraf et al., Fast Context Adaptation via Meta-Learning (CAVIA), arXiv 1810.03642,
        section 4; Perez et al., FiLM, arXiv 1709.07871.
    """

    def __init__(
        self,
        context_size: int = 100,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.context_size = positive_integer("context_size", context_size)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True
        self.context = ContextVector(self.context_size, name="context", dtype=self.dtype_policy)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates $c$, $W$ and $b$ for inputs `[B, ..., channels]`."""
        units = 2 * channel_count(self.name, input_shape)
        self.context.build()
        self.kernel = self.add_weight(
            shape=(self.context_size, units), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Modulates `[B, ..., channels]`; the shape is kept."""
        modulation = keras.ops.matmul(self.context.vector, self.kernel) + self.bias
        gamma, beta = keras.ops.split(modulation, 2)
        return inputs * (1.0 + gamma) + beta

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "context_size": self.context_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
