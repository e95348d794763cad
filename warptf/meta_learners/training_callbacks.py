"""What Keras' callbacks do to a meta-learner's optimizers."""

from collections.abc import Callable
from typing import Any

import keras

_OF_THE_OPTIMIZER = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.SwapEMAWeights,
)


class FinishAverages(keras.callbacks.Callback):
    """Gives variables the averages that optimizers of their own keep.

    Keras does so for its one optimizer just before callbacks are told that training has ended.

    Args:
        finish: does so.
    """

    def __init__(self, finish: Callable[[], None]) -> None:
        super().__init__()
        self._finish = finish

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives variables their averages.

        Args:
            logs: not used.
        """
        self._finish()


def with_callback(callbacks: Any, first: keras.callbacks.Callback) -> Any:
    """Returns callbacks with another, which is called first.

    Args:
        callbacks: one, a list, a `keras.callbacks.CallbackList` or `None`, as `fit` takes them.
        first: the other.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.insert(0, first)
        return callbacks
    return [first, *listed(callbacks)]


def listed(callbacks: Any) -> list[Any]:
    """Returns callbacks as a list.

    Args:
        callbacks: as `fit` takes them.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    if callbacks is None or isinstance(callbacks, list | tuple):
        return list(callbacks or [])
    return [callbacks]


def refuse_idle(callbacks: Any, optimizer: keras.optimizers.Optimizer) -> None:
    """Refuses callbacks that would act on an optimizer which moves nothing.

    Args:
        callbacks: as `fit` takes them.
        optimizer: the one that they act on.

    Raises:
        ValueError: there are such.
    """
    for callback in listed(callbacks):
        if isinstance(callback, _OF_THE_OPTIMIZER):
            raise ValueError(
                f"callbacks: {type(callback).__name__} acts on the meta-learner's `optimizer`, "
                f"{optimizer.name!r}, which moves nothing here, since what is learned has "
                "optimizers of its own: give compile one optimizer for all."
            )
