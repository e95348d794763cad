"""Warp-Leap."""

from typing import Any

import keras

from warptf.initializations.leap import Leap
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.meta_learners.offline_meta_learner import OfflineMetaLearner
from warptf.meta_learners.online_meta_learner import OnlineMetaLearner

_ALGORITHMS: dict[str, type[MetaLearner]] = {
    "offline": OfflineMetaLearner,
    "online": OnlineMetaLearner,
}


def WarpLeap(
    model: keras.Model,
    inner_optimizer: InnerOptimizer,
    inner_steps: int,
    algorithm: str = "offline",
    **kwargs: Any,
) -> MetaLearner:
    r"""Warp-Leap: the warp objective for $\phi$, Leap for $\theta_0$.

    Args:
        model: a built Keras model with task and warp layers.
        inner_optimizer: the update rule of the inner loop.
        inner_steps: $K$, the number of inner steps in training.
        algorithm: `"offline"` (Algorithm 2, as for Omniglot in the paper; the default) or
            `"online"` (Algorithm 1, as for tieredImageNet).
        **kwargs: other arguments of `OfflineMetaLearner` or `OnlineMetaLearner`; among them
            `initialization`, a `Leap()` by default.

    Returns:
        The meta-learner.

    Raises:
        ValueError: an unknown algorithm, and what the meta-learner itself refuses.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4),
        ...     warptf.layers.WarpDense(4), keras.layers.Dense(1)])
        >>> learner = warptf.WarpLeap(model, warptf.inner_optimizers.SGD(0.1), inner_steps=10)
        >>> type(learner).__name__
        'OfflineMetaLearner'

    Reference:
        arXiv 1909.00025, section 3.
    """
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"algorithm must be one of {sorted(_ALGORITHMS)}, got {algorithm!r}.")
    kwargs.setdefault("initialization", Leap())
    return _ALGORITHMS[algorithm](model, inner_optimizer, inner_steps, **kwargs)
