"""The warp layers of the paper's convolutional learners, by name."""

from collections.abc import Callable
from typing import Any

import keras

from warptf.layers.convolutional_warp import ConvolutionalWarp
from warptf.layers.warp_conv2d import WarpConv2D
from warptf.layers.warp_layer import WarpLayer
from warptf.layers.warp_residual_conv2d import WarpResidualConv2D
from warptf.layers.warp_scale import WarpScale

WarpFactory = Callable[..., WarpLayer | None]


def glorot_uniform(seed: int) -> keras.initializers.Initializer:
    """Returns the initializer of all kernels of the learners.

    Args:
        seed: what the values derive from.
    """
    return keras.initializers.GlorotUniform(seed=seed)


def _of(kind: type[ConvolutionalWarp], **settings: Any) -> WarpFactory:
    def make(seed: int, name: str, momentum: float = 0.9) -> WarpLayer:
        initializer = glorot_uniform(seed)
        return kind(kernel_initializer=initializer, momentum=momentum, name=name, **settings)

    return make


WARP_ARCHITECTURES: dict[str, WarpFactory] = {
    "none": lambda seed, name, momentum=0.9: None,
    "scale": lambda seed, name, momentum=0.9: WarpScale(name=name),
    "conv1x1": _of(WarpConv2D, kernel_size=1),
    "conv3x3": _of(WarpConv2D),
    "conv-relu": _of(WarpConv2D, activation="relu"),
    "conv-bn": _of(WarpConv2D, batch_normalization=True),
    "conv-bn-relu": _of(WarpConv2D, batch_normalization=True, activation="relu"),
    "conv-bn-res-relu": _of(WarpResidualConv2D, activation="relu"),
    "two-layer": _of(WarpResidualConv2D, blocks=2),
    "two-layer-relu": _of(WarpResidualConv2D, blocks=2, activation="relu"),
    "two-layer-film": _of(WarpResidualConv2D, blocks=2, task_embedding=True),
}
"""The warps of the paper's table 3 (and the non-linear one of table 4, `two-layer-relu`), by name.

Each value makes one warp layer from a seed, a name and the momentum of its batch norms, if it has
any, 0.9 by default; `none` makes no layer.
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
