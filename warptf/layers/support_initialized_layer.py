"""The base class of task layers whose weights start from the support set."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from warptf.layers.task_layer import TaskLayer


class SupportLabels(NamedTuple):
    """The targets of a support set.

    Attributes:
        labels: class indices `[B]` or `[B, 1]`, or one-hot `[B, C]`.
        weights: a weight for each example, `[B]`, or `None`.
    """

    labels: Any
    weights: Any


_SUPPORT: ContextVar[SupportLabels | None] = ContextVar("support", default=None)


class SupportInitializedLayer(TaskLayer):
    r"""A task layer whose weights start from the support set of each task.

    When adaptation to a task starts, the model is called once on the task's support set. A layer
    of this kind then sees the labels in `support_labels()`, and assigns the start of its weights
    before it computes with them; adaptation goes on from there. $\theta_0$ of such weights is not
    learned, but meta-training differentiates through their start to all that is before them.

    Subclass it as any Keras layer, and begin `call` as `ClassMeanHead` does.
    """

    def support_labels(self) -> SupportLabels | None:
        """Returns the labels of the inputs while adaptation starts, else `None`."""
        return _SUPPORT.get()


@contextlib.contextmanager
def starting_from(labels: Any, weights: Any = None) -> Iterator[None]:
    """Has layers of a model that is called start from the support set that it is called on.

    Args:
        labels: the targets of the inputs.
        weights: a weight for each example, or `None`.
    """
    token = _SUPPORT.set(SupportLabels(labels, weights))
    try:
        yield
    finally:
        _SUPPORT.reset(token)
