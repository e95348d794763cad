"""The convolutional warp layer."""

import keras

from warptf.layers.convolutional_warp import ConvolutionalWarp


class WarpConv2D(ConvolutionalWarp):
    r"""A convolution as a warp layer; linear and 3x3 unless asked otherwise.

    It computes $\omega(h) = \sigma(W * \mathrm{BN}(h) + b)$ with padding "same" and stride 1, so
    that height and width are kept. Batch norm and the activation $\sigma$ are options, off by
    default. The linear 3x3 convolution is the paper's default warp; `kernel_size=1` mixes channels
    only.

    Args:
        filters: channels of the output; `None` (default) keeps the input's.
        kernel_size: side of the window in pixels, an integer or a pair. Defaults to 3.
        activation: the activation $\sigma$, as Keras takes it. Defaults to `None`, linear.
        batch_normalization: whether to normalise the input. Defaults to `False`.
        use_bias: whether there is a bias $b$. Defaults to `True`.
        kernel_initializer: initialises $W$. Defaults to `"glorot_uniform"`.
        bias_initializer: initialises $b$. Defaults to `"zeros"`.
        momentum: of the moving statistics, the weight of the old value. Defaults to 0.9.
        epsilon: added to the variance. Defaults to 1e-5.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Call arguments:
        inputs: `[B, height, width, channels]`.
        training: whether batch norm uses the batch's statistics. It has no effect without batch
            norm.

    Returns:
        `[B, height, width, filters]`.

    Raises:
        ValueError: an argument is out of range, or the input's channels are unknown.

    Example:
        >>> import keras, warptf
        >>> warp = warptf.layers.WarpConv2D(activation="relu", batch_normalization=True)
        >>> warp(keras.ops.ones((2, 5, 5, 3))).shape
        TensorShape([2, 5, 5, 3])

    Reference:
        Flennerhag et al., arXiv 1909.00025, figure 4 and table 3.
    """

    def _make_stages(self, filters: int) -> list[keras.layers.Layer]:
        return [self._block(filters, 0, residual=False)]
