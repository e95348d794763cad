"""The few-shot learner that adapts a context vector only."""

import keras

from warptf.layers.context_film import ContextFiLM
from warptf.layers.initializers import derive_seed
from warptf.layers.validation import positive_integer
from warptf.models.learner_parts import (
    BLOCKS,
    block_layers,
    chain,
    logits,
    share,
    validate_learner,
)
from warptf.models.warp_architectures import glorot_uniform

# The block, counted from 0, that the context modulates: the third.
MODULATED = 2


def cavia_learner(
    ways: int = 5,
    filters: int = 64,
    context_size: int = 100,
    input_shape: tuple[int, int, int] = (84, 84, 3),
    seed: int = 0,
) -> keras.Model:
    r"""Builds the few-shot learner of CAVIA, of which a task adapts a context vector only.

    Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling, then a dense layer that
    gives logits, all of them warp layers; in the third block, `layers.ContextFiLM` scales and
    shifts what batch norm gives. The context starts from zero for every task, where the learner
    is `few_shot_learner(warp=None)` of the same seed.

    Learn it with `objectives.BackpropThroughAdaptation()`; $\theta_0$ is empty. Momentum of batch
    norm is 0, for the reason given at `few_shot_learner`.

    Args:
        ways: classes of a task, the number of logits. Defaults to 5.
        filters: channels of each convolution; the paper also used 128 and 512. Defaults to 64.
        context_size: entries of the context vector. Defaults to 100.
        input_shape: `(height, width, channels)`, at least 16 pixels a side. Defaults to
            `(84, 84, 3)`.
        seed: a non-negative integer from which all initial values derive.

    Returns:
        A built `keras.Model` that maps `[B, height, width, channels]` to logits `[B, ways]`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> import warptf
        >>> model = warptf.models.cavia_learner(filters=8, input_shape=(28, 28, 1))
        >>> parts = warptf.partition(model)
        >>> len(parts.task_variables), [tuple(v.shape) for v in parts.context_variables]
        (0, [(100,)])

    Reference:
        Zintgraf et al., Fast Context Adaptation via Meta-Learning, arXiv 1810.03642, sections 4
        and 5.
    """
    validate_learner(ways, input_shape, seed)
    positive_integer("filters", filters)
    inputs = keras.Input(tuple(input_shape), name="images")
    x = inputs
    for block in range(BLOCKS):
        conv, norm, relu, pool = block_layers(filters, block, seed)
        x = chain(x, share(conv), share(norm))
        if block == MODULATED:
            initializer = glorot_uniform(derive_seed(seed, 1, block))
            x = ContextFiLM(context_size, initializer, name=f"film_{block}")(x)
        x = chain(x, relu, pool)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, share(logits(ways, seed))(x), name="cavia_learner")
