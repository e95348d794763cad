"""The learner of the multi-shot character experiment."""

import keras

from warptf.layers.initializers import derive_seed
from warptf.layers.validation import positive_integer
from warptf.models.learner_parts import (
    BLOCKS,
    MULTI_SHOT_MOMENTUM,
    block_layers,
    chain,
    logits,
    validate_learner,
)
from warptf.models.warp_architectures import warp_factory


def multi_shot_learner(
    ways: int = 20,
    filters: int = 64,
    warp: str | None = "conv3x3",
    input_shape: tuple[int, int, int] = (28, 28, 1),
    seed: int = 0,
) -> keras.Model:
    r"""Builds the learner of the multi-shot character experiment.

    Four blocks of 3x3 convolution, 2x2 max-pooling, batch norm (momentum 0.9, epsilon 1e-5), ReLU
    and a warp layer, then a dense layer that gives logits. Pooling takes 28x28 images to 14, 7, 3
    and 1 pixels a side.

    Args:
        ways: classes of a task, the number of logits. Defaults to 20.
        filters: channels of each convolution. Defaults to 64.
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`, no warp. Defaults to `"conv3x3"`.
        input_shape: `(height, width, channels)`, at least 16 pixels a side. Defaults to
            `(28, 28, 1)`.
        seed: a non-negative integer from which all initial values derive. The task layers' do not
            depend on the warp.

    Returns:
        A built `keras.Model` that maps `[B, height, width, channels]` to logits `[B, ways]`.

    Raises:
        ValueError: an argument is out of range, or `warp` is no known name.

    Example:
        >>> import warptf
        >>> model = warptf.models.multi_shot_learner(ways=5, filters=8, warp="conv-bn-relu")
        >>> model.output_shape
        (None, 5)

    Reference:
        Flennerhag et al., arXiv 1909.00025, section 4.1 and appendix F.
    """
    validate_learner(ways, input_shape, seed)
    positive_integer("filters", filters)
    make_warp = warp_factory(warp)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block in range(BLOCKS):
        conv, norm, relu, pool = block_layers(filters, block, seed, MULTI_SHOT_MOMENTUM)
        x = chain(x, conv, pool, norm, relu)
        layer = make_warp(derive_seed(seed, 1, block), f"warp_{block}")
        x = x if layer is None else layer(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, logits(ways, seed)(x), name="multi_shot_learner")
