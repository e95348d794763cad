"""Warp-MAML."""

from typing import Any

import keras

from warptf.initializations.maml import MAML
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.online_meta_learner import OnlineMetaLearner


def WarpMAML(
    model: keras.Model, inner_optimizer: InnerOptimizer, inner_steps: int, **kwargs: Any
) -> OnlineMetaLearner:
    r"""Warp-MAML: the warp objective for $\phi$, MAML for $\theta_0$, online (Algorithm 1).

    Args:
        model: a built Keras model with task and warp layers.
        inner_optimizer: the update rule of the inner loop.
        inner_steps: $K$, the number of inner steps in training.
        **kwargs: other arguments of `OnlineMetaLearner`; among them `initialization`, a `MAML()`
            by default.

    Returns:
        The meta-learner.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4),
        ...     warptf.layers.WarpDense(4), keras.layers.Dense(1)])
        >>> learner = warptf.WarpMAML(model, warptf.inner_optimizers.SGD(0.1), inner_steps=5)
        >>> type(learner.initialization).__name__
        'MAML'

    Reference:
        arXiv 1909.00025, section 3.
    """
    kwargs.setdefault("initialization", MAML())
    return OnlineMetaLearner(model, inner_optimizer, inner_steps, **kwargs)
