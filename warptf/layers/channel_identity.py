"""The initialiser of convolutions that start as the identity."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.registration import register_layer_class


class ChannelIdentity(keras.initializers.Initializer):
    r"""Kernels $W_{ijcd} = [c = d]$ at the window's centre and 0 elsewhere.

    A convolution with such a kernel, stride 1 and padding "same" returns its input.

    Raises:
        ValueError: when called, a shape other than `[height, width, channels, channels]`.

    Example:
        >>> import keras, warptf
        >>> from warptf.layers.channel_identity import ChannelIdentity
        >>> warp = warptf.layers.WarpConv2D(
        ...     kernel_size=1, use_bias=False, kernel_initializer=ChannelIdentity())
        >>> warp(keras.ops.reshape(keras.ops.arange(2.0), (1, 1, 1, 2))).numpy().ravel()
        array([0., 1.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Returns a kernel `[height, width, channels, channels]`."""
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(
                "ChannelIdentity makes kernels [height, width, channels, channels], got the shape "
                f"{tuple(shape)}: keep the number of channels."
            )
        height, width, channels, _ = shape
        top, left = (height - 1) // 2, (width - 1) // 2
        around = [(top, height - 1 - top), (left, width - 1 - left), (0, 0), (0, 0)]
        return keras.ops.pad(keras.ops.eye(channels, dtype=dtype)[None, None], around)


register_layer_class(ChannelIdentity)
