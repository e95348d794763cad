"""A layer of Keras in one of its settings."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

EXACT, REFUSED, FLAT = "exact", "refused", "flat"


class Row(NamedTuple):
    """A layer, how it is called, and what becomes of its second derivatives.

    Attributes:
        make: makes the layer.
        shape: shape of its input, without the batch axis.
        call: calls the layer on a tensor of that shape, with what it takes beside it.
        outcome: `"exact"`; `"refused"`, with the layer's name and before training; or `"flat"`:
            its outputs do not depend differentiably on its inputs, and it has no weights.
        unit: whether its input is to lie in [0, 1], as that of images does.
        single: whether it computes in single precision, knowing no other.
        rate: the rate of the inner step, small for layers that are steep.
        step: that of the difference, the ordinary one if `None`.
        slow: whether the ordinary tests leave it out.
    """

    make: Callable[[], keras.layers.Layer]
    shape: tuple[int, ...]
    call: Callable[[Any, Any], Any] = lambda layer, x: layer(x)
    outcome: str = EXACT
    unit: bool = False
    single: bool = False
    rate: float = 0.3
    step: float | None = None
    slow: bool = False
