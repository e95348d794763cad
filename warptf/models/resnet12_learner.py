"""The twelve-layer residual learner of few-shot experiments."""

from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.initializers import derive_seed
from warptf.models.learner_parts import (
    BLOCKS,
    EPSILON,
    FEW_SHOT_MOMENTUM,
    chain,
    convolution,
    logits,
    pooling,
    share,
    validate_learner,
    validate_widths,
    warped_blocks,
)

# Of the leaky ReLUs, below zero.
SLOPE = 0.1


def resnet12_learner(
    ways: int = 5,
    warp: str | None = "conv3x3",
    filters: Sequence[int] = (64, 160, 320, 640),
    input_shape: tuple[int, int, int] = (84, 84, 3),
    seed: int = 0,
) -> keras.Model:
    r"""Builds the residual network of twelve convolutions for few-shot experiments.

    Four residual blocks, $h \mapsto \mathrm{pool}(\sigma(f(h) + s(h)))$: $f$ is three 3x3
    convolutions with batch norm, a leaky ReLU $\sigma$ (slope 0.1) after the first two; the
    shortcut $s$ is a 1x1 convolution with batch norm; the pooling is 2x2 max-pooling. Then the mean
    over pixels and a dense layer that gives logits. Convolutions have no bias, since batch norm
    follows; there is no dropout. With a warp, as in `few_shot_learner`, a warp layer follows each
    of the last three blocks, which the tasks adapt with the dense head; the first block becomes a
    warp layer itself. Without one, all is adapted. Momentum of batch norm is 0, for the reason
    given at `few_shot_learner`.

    Args:
        ways: classes of a task, the number of logits. Defaults to 5.
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`, no warp. Defaults to `"conv3x3"`.
        filters: channels of each block. Defaults to `(64, 160, 320, 640)`.
        input_shape: `(height, width, channels)`, at least 16 pixels a side. Defaults to
            `(84, 84, 3)`.
        seed: a non-negative integer from which all initial values derive. The task layers' do not
            depend on the warp.

    Returns:
        A built `keras.Model` that maps `[B, height, width, channels]` to logits `[B, ways]`.

    Raises:
        ValueError: an argument is out of range, or `warp` is no known name.

    Example:
        >>> import warptf
        >>> model = warptf.models.resnet12_learner(filters=[4] * 4, input_shape=(16, 16, 3))
        >>> parts = warptf.partition(model)
        >>> len(parts.task_variables)   # 4 kernels, scales and offsets a block, and the head
        38

    Reference:
        Lee et al., MetaOptNet, arXiv 1904.03758, section 4.1; Oreshkin et al., TADAM, arXiv
        1805.10123.
    """
    validate_learner(ways, input_shape, seed)
    widths = validate_widths(filters, BLOCKS)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = warped_blocks(inputs, warp, widths, seed, _block)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="mean")(x)
    return keras.Model(inputs, logits(ways, seed)(x), name="resnet12_learner")


def _block(x: Any, filters: int, block: int, seed: int, shared: bool) -> Any:
    def convolve(x: Any, index: int, part: str, kernel_size: int = 3) -> Any:
        derived, name = derive_seed(seed, 0, block, index), f"{block}_{part}"
        conv = convolution(filters, f"conv_{name}", derived, kernel_size, use_bias=False)
        norm = BatchNormalization(momentum=FEW_SHOT_MOMENTUM, epsilon=EPSILON, name=f"norm_{name}")
        return chain(x, share(conv), share(norm)) if shared else chain(x, conv, norm)

    h = _leaky_relu(f"relu_{block}_0")(convolve(x, 0, "0"))
    h = _leaky_relu(f"relu_{block}_1")(convolve(h, 1, "1"))
    h, shortcut = convolve(h, 2, "2"), convolve(x, 3, "shortcut", kernel_size=1)
    h = keras.layers.Add(name=f"sum_{block}")([h, shortcut])
    return chain(h, _leaky_relu(f"relu_{block}_2"), pooling(block))


def _leaky_relu(name: str) -> keras.layers.Layer:
    return keras.layers.LeakyReLU(SLOPE, name=name)
