"""Learners of the paper's experiments as plain Keras models, warp layers included."""

from collections.abc import Callable
from typing import Any

import keras

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.initializers import derive_seed
from warptf.layers.max_pooling2d import MaxPooling2D
from warptf.layers.validation import positive_integer
from warptf.layers.warp_conv2d import WarpConv2D
from warptf.layers.warp_layer import WarpLayer
from warptf.layers.warp_residual_conv2d import WarpResidualConv2D
from warptf.layers.warp_scale import WarpScale

MOMENTUM, EPSILON = 0.9, 1e-5
BLOCKS = 4

WarpFactory = Callable[[int, str], WarpLayer | None]


def _initializer(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=seed)


def _convolution(**settings: Any) -> WarpFactory:
    def make(seed: int, name: str) -> WarpLayer:
        return WarpConv2D(kernel_initializer=_initializer(seed), name=name, **settings)

    return make


def _residual(**settings: Any) -> WarpFactory:
    def make(seed: int, name: str) -> WarpLayer:
        return WarpResidualConv2D(kernel_initializer=_initializer(seed), name=name, **settings)

    return make


WARP_ARCHITECTURES: dict[str, WarpFactory] = {
    "none": lambda seed, name: None,
    "scale": lambda seed, name: WarpScale(name=name),
    "conv1x1": _convolution(kernel_size=1),
    "conv3x3": _convolution(),
    "conv-relu": _convolution(activation="relu"),
    "conv-bn": _convolution(batch_normalization=True),
    "conv-bn-relu": _convolution(batch_normalization=True, activation="relu"),
    "conv-bn-res-relu": _residual(activation="relu"),
    "two-layer": _residual(blocks=2),
    "two-layer-relu": _residual(blocks=2, activation="relu"),
    "two-layer-film": _residual(blocks=2, task_embedding=True),
}
"""The warps of the paper's table 3 (and the non-linear one of table 4, `two-layer-relu`), by name.

Each value makes one warp layer from a seed and a name; `none` makes no layer.
"""


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
    _validate(ways, filters, input_shape, seed)
    make_warp = _warp_factory(warp)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block in range(BLOCKS):
        x = _block(x, filters, block, derive_seed(seed, 0, block))
        layer = make_warp(derive_seed(seed, 1, block), f"warp_{block}")
        x = x if layer is None else layer(x)
    x = keras.layers.Flatten(name="flatten")(x)
    head = keras.layers.Dense(
        ways, kernel_initializer=_initializer(derive_seed(seed, 0, BLOCKS)), name="logits"
    )
    return keras.Model(inputs, head(x), name="multi_shot_learner")


def _block(x: Any, filters: int, block: int, seed: int) -> Any:
    x = keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        data_format="channels_last",
        kernel_initializer=_initializer(seed),
        name=f"conv_{block}",
    )(x)
    x = MaxPooling2D(2, data_format="channels_last", name=f"pool_{block}")(x)
    x = BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"norm_{block}")(x)
    return keras.layers.ReLU(name=f"relu_{block}")(x)


def _warp_factory(warp: str | None) -> WarpFactory:
    name = "none" if warp is None else warp
    if name not in WARP_ARCHITECTURES:
        raise ValueError(
            f"warp must be one of {', '.join(WARP_ARCHITECTURES)}, or None, got {warp!r}."
        )
    return WARP_ARCHITECTURES[name]


def _validate(ways: int, filters: int, input_shape: tuple[int, int, int], seed: int) -> None:
    positive_integer("ways", ways)
    positive_integer("filters", filters)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}.")
    smallest = 2**BLOCKS
    if len(input_shape) != 3 or min(input_shape[:2]) < smallest or input_shape[2] < 1:
        raise ValueError(
            f"input_shape must be (height, width, channels) with sides of at least {smallest} "
            f"pixels, which {BLOCKS} poolings leave one of, got {tuple(input_shape)}."
        )
