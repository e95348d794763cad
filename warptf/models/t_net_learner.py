"""The few-shot learner as a T-Net."""

import keras

from warptf.layers.channel_identity import ChannelIdentity
from warptf.layers.validation import positive_integer
from warptf.layers.warp_conv2d import WarpConv2D
from warptf.layers.warp_dense import WarpDense
from warptf.models.learner_parts import BLOCKS, block_layers, chain, logits, validate_learner


def t_net_learner(
    ways: int = 5,
    filters: int = 64,
    input_shape: tuple[int, int, int] = (84, 84, 3),
    seed: int = 0,
) -> keras.Model:
    r"""Builds the few-shot learner as a T-Net.

    Each layer of weights is followed by a linear warp without bias, $h \mapsto T (W h + b)$: the
    four 3x3 convolutions by 1x1 convolutions, before batch norm, ReLU and 2x2 max-pooling, and the
    dense head by a dense layer. All $W$, $b$ and batch norms are adapted. All $T$ start from the
    identity, so that the learner starts as `few_shot_learner(warp=None)` of the same seed.

    Learn it with `objectives.BackpropThroughAdaptation()` and `initializations.MAML()`; with
    `inner_optimizers.MaskedSGD` as the inner optimizer it is an MT-Net. Momentum of batch norm
    is 0, for the reason given at `few_shot_learner`.

    Args:
        ways: classes of a task, the number of logits. Defaults to 5.
        filters: channels of each convolution. Defaults to 64.
        input_shape: `(height, width, channels)`, at least 16 pixels a side. Defaults to
            `(84, 84, 3)`.
        seed: a non-negative integer from which all initial values derive.

    Returns:
        A built `keras.Model` that maps `[B, height, width, channels]` to logits `[B, ways]`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> import warptf
        >>> model = warptf.models.t_net_learner(filters=8, input_shape=(28, 28, 1))
        >>> [tuple(v.shape) for v in warptf.partition(model).warp_variables]
        [(1, 1, 8, 8), (1, 1, 8, 8), (1, 1, 8, 8), (1, 1, 8, 8), (5, 5)]

    Reference:
        Lee and Choi, Gradient-Based Meta-Learning with Learned Layerwise Metric and Subspace,
        arXiv 1801.05558, section 3.
    """
    validate_learner(ways, input_shape, seed)
    positive_integer("filters", filters)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block in range(BLOCKS):
        conv, *rest = block_layers(filters, block, seed)
        mix = WarpConv2D(
            kernel_size=1,
            use_bias=False,
            kernel_initializer=ChannelIdentity(),
            name=f"warp_{block}",
        )
        x = chain(x, conv, mix, *rest)
    x = keras.layers.Flatten(name="flatten")(x)
    head = WarpDense(use_bias=False, kernel_initializer="identity", name="warp_logits")
    return keras.Model(inputs, chain(x, logits(ways, seed), head), name="t_net_learner")
