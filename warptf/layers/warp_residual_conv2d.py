"""The residual convolutional warp layer."""

from typing import Any

import keras

from warptf.layers.convolutional_warp import ConvolutionalWarp
from warptf.layers.film_task_embedding import FiLMTaskEmbedding
from warptf.layers.validation import optional_positive_integer


class WarpResidualConv2D(ConvolutionalWarp):
    r"""One or two residual convolutional blocks as a warp layer.

    A block computes $B(h) = \mathrm{BN}(\sigma(W * \mathrm{BN}(h) + b) + S h)$, padding "same",
    stride 1. The shortcut $S$ is the identity, or a 1x1 convolution where the numbers of channels
    differ. With `blocks=1` the layer is $B$; with `blocks=2` it is $B_2 \circ B_1$, the first block
    having `hidden_filters` channels. A FiLM task embedding may sit between the two: its scale and
    shift are task state (context variables), adapted from zero, inside the warp layer.

    Args:
        filters: channels of the output; `None` (default) keeps the input's.
        blocks: 1 or 2. Defaults to 1.
        hidden_filters: channels between two blocks; `None` (default) means 128. Only for
            `blocks=2`.
        task_embedding: whether a `FiLMTaskEmbedding` sits between the two blocks. Only for
            `blocks=2`. Defaults to `False`.
        kernel_size: side of the windows in pixels, an integer or a pair. Defaults to 3.
        activation: the activation $\sigma$, as Keras takes it. Defaults to `None`, linear.
        batch_normalization: whether to normalise. Defaults to `True`.
        **kwargs: `use_bias`, `kernel_initializer`, `bias_initializer`, `momentum` and `epsilon` as
            for `WarpConv2D`, and the arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `[B, height, width, channels]`.
        training: whether batch norm uses the batch's statistics.

    Returns:
        `[B, height, width, filters]`.

    Raises:
        ValueError: an argument is out of range, or belongs to `blocks=2` and `blocks` is 1.

    Example:
        >>> import keras, warptf
        >>> warp = warptf.layers.WarpResidualConv2D(blocks=2, hidden_filters=8, task_embedding=True)
        >>> model = keras.Sequential([keras.Input((5, 5, 3)), warp])
        >>> model.output_shape
        (None, 5, 5, 3)
        >>> [tuple(v.shape) for v in warptf.partition(model).context_variables]
        [(8,), (8,)]

    Reference:
        Flennerhag et al., arXiv 1909.00025, appendix F and table 3.
    """

    def __init__(
        self,
        filters: int | None = None,
        blocks: int = 1,
        hidden_filters: int | None = None,
        task_embedding: bool = False,
        kernel_size: int | tuple[int, int] = 3,
        activation: Any = None,
        batch_normalization: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            activation=activation,
            batch_normalization=batch_normalization,
            **kwargs,
        )
        if blocks not in (1, 2):
            raise ValueError(f"blocks must be 1 or 2, got {blocks!r}: stack more layers instead.")
        if blocks == 1 and (hidden_filters is not None or task_embedding):
            raise ValueError(
                f"hidden_filters={hidden_filters!r} and task_embedding={task_embedding!r} belong "
                "between two blocks, got blocks=1: pass blocks=2."
            )
        self.blocks = blocks
        self.hidden_filters = optional_positive_integer("hidden_filters", hidden_filters)
        self.task_embedding = bool(task_embedding)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "blocks": self.blocks,
            "hidden_filters": self.hidden_filters,
            "task_embedding": self.task_embedding,
        }

    def _make_stages(self, filters: int) -> list[keras.layers.Layer]:
        if self.blocks == 1:
            return [self._block(filters, 0, residual=True)]
        embedding = FiLMTaskEmbedding(name="task_embedding", dtype=self.dtype_policy)
        return [
            self._block(self.hidden_filters or 128, 0, residual=True),
            *([embedding] if self.task_embedding else []),
            self._block(filters, 1, residual=True),
        ]
