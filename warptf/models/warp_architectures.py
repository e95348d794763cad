"""The warp layers of the paper's convolutional learners, by name."""

from collections.abc import Callable
from typing import Any

import keras

from warptf.layers.validation import positive_integer
from warptf.layers.warp_conv2d import WarpConv2D
from warptf.layers.warp_layer import WarpLayer
from warptf.layers.warp_residual_conv2d import WarpResidualConv2D
from warptf.layers.warp_scale import WarpScale

WarpFactory = Callable[[int, str], WarpLayer | None]


def glorot_uniform(seed: int) -> keras.initializers.Initializer:
    """Returns the initializer of all kernels of the learners.

    Args:
        seed: what the values derive from.
    """
    return keras.initializers.GlorotUniform(seed=seed)


def _convolution(**settings: Any) -> WarpFactory:
    def make(seed: int, name: str) -> WarpLayer:
        return WarpConv2D(kernel_initializer=glorot_uniform(seed), name=name, **settings)

    return make


def _residual(**settings: Any) -> WarpFactory:
    def make(seed: int, name: str) -> WarpLayer:
        return WarpResidualConv2D(kernel_initializer=glorot_uniform(seed), name=name, **settings)

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


def warp_factory(warp: str | None) -> WarpFactory:
    """Returns what makes the warp layers of a name.

    Args:
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`.

    Raises:
        ValueError: an unknown name.
    """
    name = "none" if warp is None else warp
    if name not in WARP_ARCHITECTURES:
        raise ValueError(
            f"warp must be one of {', '.join(WARP_ARCHITECTURES)}, or None, got {warp!r}."
        )
    return WARP_ARCHITECTURES[name]


def validate_learner(
    ways: int, filters: int, input_shape: tuple[int, int, int], blocks: int, seed: int
) -> None:
    """Checks what the learners share.

    Args:
        ways: classes of a task.
        filters: channels of each convolution.
        input_shape: `(height, width, channels)`.
        blocks: how often the images are pooled to half their sides.
        seed: what all initial values derive from.

    Raises:
        ValueError: one of them is out of range.
    """
    for name, value in (("ways", ways), ("filters", filters)):
        positive_integer(name, value)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}.")
    smallest = 2**blocks
    if len(input_shape) != 3 or min(input_shape[:2]) < smallest or input_shape[2] < 1:
        raise ValueError(
            f"input_shape must be (height, width, channels) with sides of at least {smallest} "
            f"pixels, which {blocks} poolings leave one of, got {tuple(input_shape)}."
        )
