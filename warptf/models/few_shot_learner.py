"""The learner of the few-shot experiments."""

from functools import partial
from typing import Any, Literal

import keras

from warptf.layers.validation import positive_integer
from warptf.models.learner_parts import (
    BLOCKS,
    block_layers,
    chain,
    logits,
    share,
    validate_learner,
    warped_blocks,
)


def few_shot_learner(
    ways: int = 5,
    filters: int = 64,
    warp: str | None = "conv3x3",
    input_shape: tuple[int, int, int] = (84, 84, 3),
    seed: int = 0,
    downsampling: Literal["max_pool", "stride"] = "max_pool",
) -> keras.Model:
    r"""Builds the learner of the few-shot experiments.

    Four blocks of 3x3 convolution, batch norm (learned scale and offset), ReLU and 2x2 max-pooling,
    then a dense layer that gives logits. With a warp, a warp layer follows each of the last three
    blocks, whose convolutions, batch norms and the dense head the tasks adapt; the first block
    becomes a warp layer itself, learned by the warp objective. Without one, all is adapted.

    MAML's own learner for Omniglot halves the images by convolutions of stride 2 instead, and
    averages over the positions that are left before the dense layer: a quarter of the arithmetic.

    The moving statistics of batch norm are those of the last batch (momentum 0), for a few-shot
    task has one support set, which serves every step: predictions then use the statistics that the
    last inner step gathered on it. So are those of a warp's batch norm.

    Args:
        ways: classes of a task, the number of logits. Defaults to 5.
        filters: channels of each convolution; 32, 64 and 128 are usual. Defaults to 64.
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`, no warp. Defaults to `"conv3x3"`.
        input_shape: `(height, width, channels)`, at least 16 pixels a side. Defaults to
            `(84, 84, 3)`.
        seed: a non-negative integer from which all initial values derive. The task layers' do not
            depend on the warp.
        downsampling: `"max_pool"`, or `"stride"` for convolutions of stride 2 without pooling and
            a mean over positions. Defaults to `"max_pool"`.

    Returns:
        A built `keras.Model` that maps `[B, height, width, channels]` to logits `[B, ways]`.

    Raises:
        ValueError: an argument is out of range, or `warp` or `downsampling` is no known name.

    Example:
        >>> import warptf
        >>> model = warptf.models.few_shot_learner(filters=8, input_shape=(28, 28, 1))
        >>> parts = warptf.partition(model)
        >>> len(parts.task_variables)   # kernel, bias, scale, offset of three blocks, and the head
        14

    Reference:
        Finn et al., arXiv 1703.03400; Flennerhag et al., arXiv 1909.00025, section 4.1 and
        appendix H.
    """
    validate_learner(ways, input_shape, seed)
    if downsampling not in ("max_pool", "stride"):
        raise ValueError(f"downsampling must be 'max_pool' or 'stride', got {downsampling!r}.")
    strided = downsampling == "stride"
    widths = [positive_integer("filters", filters)] * BLOCKS
    inputs = keras.Input(tuple(input_shape), name="images")
    x = warped_blocks(inputs, warp, widths, seed, partial(_block, strided=strided))
    x = _features(x, strided)
    return keras.Model(inputs, logits(ways, seed)(x), name="few_shot_learner")


def _block(x: Any, filters: int, block: int, seed: int, shared: bool, strided: bool) -> Any:
    conv, norm, *rest = block_layers(filters, block, seed, strided=strided)
    if shared:
        conv, norm = share(conv), share(norm)
    return chain(x, conv, norm, *rest)


def _features(x: Any, strided: bool) -> Any:
    if strided:
        return keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="mean")(x)
    return keras.layers.Flatten(name="flatten")(x)
