"""What the convolutional learners are built of, and the checks of what they share."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.initializers import derive_seed
from warptf.layers.max_pooling2d import MaxPooling2D
from warptf.layers.validation import positive_integer
from warptf.layers.warp import Warp
from warptf.models.warp_architectures import glorot_uniform, warp_factory

EPSILON = 1e-5
BLOCKS = 4

# A few-shot task has one support set for all its steps, a multi-shot one many mini-batches.
FEW_SHOT_MOMENTUM, MULTI_SHOT_MOMENTUM = 0.0, 0.9


def convolution(
    filters: int,
    name: str,
    seed: int,
    kernel_size: int = 3,
    use_bias: bool = True,
    stride: int = 1,
) -> keras.layers.Layer:
    """Returns a convolution that keeps height and width, divided by its stride and rounded up.

    Args:
        filters: its channels.
        name: the layer's.
        seed: what its kernel derives from.
        kernel_size: side of the window in pixels.
        use_bias: whether there is a bias.
        stride: of the window in pixels.
    """
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        data_format="channels_last",
        use_bias=use_bias,
        kernel_initializer=glorot_uniform(seed),
        name=name,
    )


def block_layers(
    filters: int,
    block: int,
    seed: int,
    momentum: float = FEW_SHOT_MOMENTUM,
    strided: bool = False,
) -> tuple[keras.layers.Layer, ...]:
    """Returns the 3x3 convolution, batch norm, ReLU and 2x2 max-pooling of a block.

    Args:
        filters: channels of the convolution.
        block: number of the block.
        seed: the learner's.
        momentum: of the moving statistics, the weight of the old value.
        strided: whether the convolution has a stride of 2, and no pooling follows.
    """
    stride, seed = 2 if strided else 1, derive_seed(seed, 0, block)
    layers = (
        convolution(filters, f"conv_{block}", seed, stride=stride),
        BatchNormalization(momentum=momentum, epsilon=EPSILON, name=f"norm_{block}"),
        keras.layers.ReLU(name=f"relu_{block}"),
    )
    return layers if strided else (*layers, pooling(block))


def pooling(block: int) -> keras.layers.Layer:
    """Returns the 2x2 max-pooling of a block.

    Args:
        block: number of the block.
    """
    return MaxPooling2D(2, data_format="channels_last", name=f"pool_{block}")


def logits(ways: int, seed: int, blocks: int = BLOCKS) -> keras.layers.Layer:
    """Returns the dense layer behind the last block.

    Args:
        ways: classes of a task.
        seed: the learner's.
        blocks: how many blocks there are.
    """
    initializer = glorot_uniform(derive_seed(seed, 0, blocks))
    return keras.layers.Dense(ways, kernel_initializer=initializer, name="logits")


def share(layer: keras.layers.Layer) -> Warp:
    """Returns a layer as a warp layer, which all tasks share.

    Args:
        layer: the layer.
    """
    return Warp(layer, name=f"shared_{layer.name}")


def chain(x: Any, *layers: keras.layers.Layer) -> Any:
    """Returns what layers, one after another, make of an input.

    Args:
        x: the input of the first.
        *layers: the layers.
    """
    for layer in layers:
        x = layer(x)
    return x


def warped_blocks(
    x: Any, warp: str | None, widths: Sequence[int], seed: int, block: Callable[..., Any]
) -> Any:
    """Returns what the blocks of a few-shot learner make of its images.

    A warp layer follows each block but the first, which is shared by the tasks; without a warp,
    no block is shared and nothing follows.

    Args:
        x: the images.
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`.
        widths: channels of each block.
        seed: the learner's.
        block: applies a block, `block(x, filters, number, seed, shared)`.

    Raises:
        ValueError: `warp` is no known name.
    """
    make_warp = warp_factory(warp)
    for number, filters in enumerate(widths):
        layer = make_warp(derive_seed(seed, 1, number), f"warp_{number}", FEW_SHOT_MOMENTUM)
        shared = layer is not None and number == 0
        x = block(x, filters, number, seed, shared)
        x = x if layer is None or shared else layer(x)
    return x


def validate_learner(
    ways: int, input_shape: tuple[int, int, int], seed: int, poolings: int = BLOCKS
) -> None:
    """Checks what the learners share.

    Args:
        ways: classes of a task.
        input_shape: `(height, width, channels)`.
        seed: what all initial values derive from.
        poolings: how often the learner halves its images.

    Raises:
        ValueError: one of them is out of range.
    """
    positive_integer("ways", ways)
    check_seed(seed)
    smallest = 2**poolings
    if len(input_shape) != 3 or min(input_shape[:2]) < smallest or input_shape[2] < 1:
        raise ValueError(
            f"input_shape must be (height, width, channels) with sides of at least {smallest} "
            f"pixels, which {poolings} poolings leave one of, got {tuple(input_shape)}."
        )


def check_seed(seed: int) -> None:
    """Checks what all initial values derive from.

    Args:
        seed: the argument received.

    Raises:
        ValueError: it is no non-negative integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}.")


def validate_widths(filters: Sequence[int], blocks: int) -> tuple[int, ...]:
    """Returns the channels of each block.

    Args:
        filters: the argument received.
        blocks: how many blocks there are.

    Raises:
        ValueError: they are not that many positive integers.
    """
    if not isinstance(filters, Sequence) or len(filters) != blocks:
        raise ValueError(
            f"filters must be {blocks} positive integers, the channels of each block, got "
            f"{filters!r}."
        )
    return tuple(positive_integer(f"filters[{i}]", width) for i, width in enumerate(filters))
