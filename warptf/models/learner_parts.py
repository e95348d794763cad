"""What the convolutional learners are built of, and the check of what they share."""

import keras

from warptf.layers.initializers import derive_seed
from warptf.layers.validation import positive_integer
from warptf.models.warp_architectures import glorot_uniform

EPSILON = 1e-5
BLOCKS = 4


def convolution(filters: int, block: int, seed: int) -> keras.layers.Layer:
    """Returns the 3x3 convolution of a block.

    Args:
        filters: its channels.
        block: number of the block.
        seed: the learner's.
    """
    return keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        data_format="channels_last",
        kernel_initializer=glorot_uniform(derive_seed(seed, 0, block)),
        name=f"conv_{block}",
    )


def logits(ways: int, seed: int) -> keras.layers.Layer:
    """Returns the dense layer behind the last block.

    Args:
        ways: classes of a task.
        seed: the learner's.
    """
    initializer = glorot_uniform(derive_seed(seed, 0, BLOCKS))
    return keras.layers.Dense(ways, kernel_initializer=initializer, name="logits")


def validate_learner(ways: int, filters: int, input_shape: tuple[int, int, int], seed: int) -> None:
    """Checks what the learners share.

    Args:
        ways: classes of a task.
        filters: channels of each convolution.
        input_shape: `(height, width, channels)`.
        seed: what all initial values derive from.

    Raises:
        ValueError: one of them is out of range.
    """
    for name, value in (("ways", ways), ("filters", filters)):
        positive_integer(name, value)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}.")
    smallest = 2**BLOCKS
    if len(input_shape) != 3 or min(input_shape[:2]) < smallest or input_shape[2] < 1:
        raise ValueError(
            f"input_shape must be (height, width, channels) with sides of at least {smallest} "
            f"pixels, which {BLOCKS} poolings leave one of, got {tuple(input_shape)}."
        )
