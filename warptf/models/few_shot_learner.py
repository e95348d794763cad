"""The learner of the few-shot experiments."""

from typing import Any

import keras

from warptf.layers.batch_normalization import BatchNormalization
from warptf.layers.initializers import derive_seed
from warptf.layers.max_pooling2d import MaxPooling2D
from warptf.layers.warp import Warp
from warptf.models.learner_parts import BLOCKS, EPSILON, convolution, logits, validate_learner
from warptf.models.warp_architectures import warp_factory


def few_shot_learner(
    ways: int = 5,
    filters: int = 64,
    warp: str | None = "conv3x3",
    input_shape: tuple[int, int, int] = (84, 84, 3),
    seed: int = 0,
) -> keras.Model:
    r"""Builds the learner of the few-shot experiments.

    Four blocks of 3x3 convolution, batch norm (learned scale and offset), ReLU and 2x2 max-pooling,
    then a dense layer that gives logits. With a warp, a warp layer follows each of the last three
    blocks, whose convolutions, batch norms and the dense head the tasks adapt; the first block
    becomes a warp layer itself, learned by the warp objective. Without one, all is adapted.

    The moving statistics of batch norm are those of the last batch (momentum 0), for a few-shot
    task has one support set, which serves every step: predictions then use the statistics that the
    last inner step gathered on it.

    Args:
        ways: classes of a task, the number of logits. Defaults to 5.
        filters: channels of each convolution; 32, 64 and 128 are usual. Defaults to 64.
        warp: a name in `WARP_ARCHITECTURES`; `None` is `"none"`, no warp. Defaults to `"conv3x3"`.
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
        >>> model = warptf.models.few_shot_learner(filters=8, input_shape=(28, 28, 1))
        >>> parts = warptf.partition(model)
        >>> len(parts.task_variables)   # kernel, bias, scale, offset of three blocks, and the head
        14

    Reference:
        Finn et al., arXiv 1703.03400; Flennerhag et al., arXiv 1909.00025, section 4.1 and
        appendix H.
    """
    validate_learner(ways, filters, input_shape, seed)
    make_warp = warp_factory(warp)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block in range(BLOCKS):
        layer = make_warp(derive_seed(seed, 1, block), f"warp_{block}")
        shared = layer is not None and block == 0
        x = _block(x, filters, block, seed, shared)
        x = x if layer is None or shared else layer(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, logits(ways, seed)(x), name="few_shot_learner")


def _block(x: Any, filters: int, block: int, seed: int, shared: bool) -> Any:
    norm = BatchNormalization(momentum=0.0, epsilon=EPSILON, name=f"norm_{block}")
    for layer in (convolution(filters, block, seed), norm):
        x = Warp(layer, name=f"shared_{layer.name}")(x) if shared else layer(x)
    x = keras.layers.ReLU(name=f"relu_{block}")(x)
    return MaxPooling2D(2, data_format="channels_last", name=f"pool_{block}")(x)
