"""Feature-wise linear modulation as a task embedding."""

from typing import Any

from warptf.layers.channel_modulation import ChannelModulation
from warptf.layers.task_layer import TaskLayer


class FiLMTaskEmbedding(ChannelModulation, TaskLayer):
    r"""Task state that scales and shifts each channel: $h \odot (1 + \gamma) + \beta$.

    $\gamma$ and $\beta$ are what a task tells the layers around it: they start from zero for every
    task, where the layer is the identity, and the inner loop adapts them. Nested in a warp layer
    they let a shared, frozen warp depend on the task.

    Args:
        context: whether the pair always starts from zero and takes no part in learning
            $\theta_0$; `False` makes it an ordinary part of $\theta$. Defaults to `True`.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, ..., channels]`.

    Returns:
        The same shape as the inputs.

    Raises:
        ValueError: the number of channels is unknown.

    Example:
        >>> import keras, warptf
        >>> embedding = warptf.layers.FiLMTaskEmbedding()
        >>> model = keras.Sequential([keras.Input((3,)), warptf.layers.WarpDense(4), embedding])
        >>> len(warptf.partition(model).context_variables)
        2

    Reference:
        Perez et al., FiLM, arXiv 1709.07871; Flennerhag et al., arXiv 1909.00025, appendix F.
    """

    def __init__(self, context: bool = True, **kwargs: Any) -> None:
        super().__init__(context=context, **kwargs)
