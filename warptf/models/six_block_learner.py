"""The learner of the multi-shot experiment on photographs."""

from collections.abc import Sequence

import keras

from warptf.layers.initializers import derive_seed
from warptf.models.learner_parts import (
    MULTI_SHOT_MOMENTUM,
    block_layers,
    chain,
    logits,
    validate_learner,
    validate_widths,
)
from warptf.models.warp_architectures import warp_factory

BLOCKS = 6


def six_block_learner(
    ways: int = 10,
    warp: str | None = "conv3x3",
    filters: Sequence[int] = (64, 64, 160, 160, 256, 256),
    input_shape: tuple[int, int, int] = (84, 84, 3),
    seed: int = 0,
) -> keras.Model:
    r"""Builds the learner of the multi-shot experiment on tieredImageNet.

    Six blocks of 3x3 convolution, batch norm (momentum 0.9, epsilon 1e-5), ReLU, 2x2 max-pooling
    (all but the last) and a warp layer, then a dense layer that gives logits. Pooling takes 84x84
    images to 42, 21, 10, 5 and 2 pixels a side.

    Args:
        ways: classes of a task, the number of logits. Defaults to 10.
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`, no warp. Defaults to `"conv3x3"`.
        filters: channels of each block's convolution. Defaults to
            `(64, 64, 160, 160, 256, 256)`.
        input_shape: `(height, width, channels)`, at least 32 pixels a side. Defaults to
            `(84, 84, 3)`.
        seed: a non-negative integer from which all initial values derive. The task layers' do not
            depend on the warp.

    Returns:
        A built `keras.Model` that maps `[B, height, width, channels]` to logits `[B, ways]`.

    Raises:
        ValueError: an argument is out of range, or `warp` is no known name.

    Example:
        >>> import warptf
        >>> model = warptf.models.six_block_learner(filters=[8] * 6, input_shape=(32, 32, 3))
        >>> len(warptf.partition(model).warp_variables)   # kernel and bias of six warps
        12

    Reference:
        Flennerhag et al., arXiv 1909.00025, section 4.1 and appendix H.
    """
    validate_learner(ways, input_shape, seed, poolings=BLOCKS - 1)
    widths = validate_widths(filters, BLOCKS)
    make_warp = warp_factory(warp)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block, width in enumerate(widths):
        *before, pool = block_layers(width, block, seed, MULTI_SHOT_MOMENTUM)
        x = chain(x, *before)
        x = pool(x) if block < BLOCKS - 1 else x
        layer = make_warp(derive_seed(seed, 1, block), f"warp_{block}")
        x = x if layer is None else layer(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, logits(ways, seed, BLOCKS)(x), name="six_block_learner")
