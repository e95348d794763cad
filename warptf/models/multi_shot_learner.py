"""The learner of the multi-shot character experiment."""

from typing import Any

import keras

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.initializers import derive_seed
from warptf.layers.max_pooling2d import MaxPooling2D
from warptf.models.learner_parts import BLOCKS, EPSILON, convolution, logits, validate_learner
from warptf.models.warp_architectures import warp_factory

MOMENTUM = 0.9


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
    validate_learner(ways, filters, input_shape, seed)
    make_warp = warp_factory(warp)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block in range(BLOCKS):
        x = _block(x, filters, block, seed)
        layer = make_warp(derive_seed(seed, 1, block), f"warp_{block}")
        x = x if layer is None else layer(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, logits(ways, seed)(x), name="multi_shot_learner")


def _block(x: Any, filters: int, block: int, seed: int) -> Any:
    x = convolution(filters, block, seed)(x)
    x = MaxPooling2D(2, data_format="channels_last", name=f"pool_{block}")(x)
    x = BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"norm_{block}")(x)
    return keras.layers.ReLU(name=f"relu_{block}")(x)
