"""Feature-wise linear modulation as a warp layer."""

from warptf.layers.channel_modulation import ChannelModulation
from warptf.layers.warp_layer import WarpLayer


class WarpFiLM(ChannelModulation, WarpLayer):
    r"""Scales and shifts each channel: $\omega(h) = h \odot (1 + \gamma) + \beta$.

    $\gamma$ and $\beta$ are warp parameters and zero at the start, so that the layer starts as the
    identity. For a scale and shift that each task adapts, see `FiLMTaskEmbedding`.

    Args:
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, ..., channels]`.

    Returns:
        The same shape as the inputs.

    Raises:
        ValueError: the number of channels is unknown.

    Example:
        >>> import keras, warptf
        >>> warptf.layers.WarpFiLM()(keras.ops.ones((1, 3))).numpy().tolist()
        [[1.0, 1.0, 1.0]]

    Reference:
        Perez et al., FiLM, arXiv 1709.07871; Flennerhag et al., arXiv 1909.00025, appendix F.
    """
