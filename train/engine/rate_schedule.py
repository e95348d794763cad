"""The rate of the meta-steps over meta-training."""

from typing import Any, Literal

Schedule = Literal["constant", "cosine"]


def rate_schedule(schedule: Schedule, rate: float, meta_steps: int) -> Any:
    """Returns what a Keras optimizer is to be given as its rate.

    Args:
        schedule: Whether the rate is constant, or falls to 0 by a cosine over all meta-steps.
        rate: The rate, or where it starts.
        meta_steps: How many there are; without any the rate is constant.

    >>> rate_schedule("constant", 0.1, 10)
    0.1
    >>> float(rate_schedule("cosine", 0.1, 10)(10))
    0.0
    """
    if schedule == "cosine" and meta_steps:
        # Not at the top: options are read without TensorFlow.
        import keras

        return keras.optimizers.schedules.CosineDecay(rate, meta_steps)
    return rate
