r"""The base class of objectives for the initialisation."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from warptf.adaptation import InnerState, InnerStep
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.layers.registration import register_layer_class

Tensors = list[tf.Tensor]


class Adapted(NamedTuple):
    r"""The outcome of adapting to one task.

    Attributes:
        final: the state at $k = K$; its `theta` holds the adapted context variables, if any, after
            the parameters that the initialisation learns.
        observed: what the initialisation gathered along the way.
        rest: what others gathered, handed through.
    """

    final: InnerState
    observed: Any
    rest: Any


class AdaptFunction(Protocol):
    r"""Adapts from a given $\theta_0$, showing every step to an observer."""

    def __call__(
        self,
        theta: Sequence[tf.Tensor],
        observe: Callable[[Any, InnerStep], Any],
        observed: Any,
        meta_weight: float | None = None,
        /,
    ) -> Adapted:
        r"""Returns the outcome, `observed` being the last value of `observe(observed, step)`.

        With a `meta_weight` $\nu$ the steps descend $L_{task} + \nu L_{meta}$, on the same batches
        and random state as without, and nothing else is gathered on the way: `rest` is empty.
        """


class InitializationStep(NamedTuple):
    r"""What an initialisation learned from one task.

    Attributes:
        gradient: its gradient for $\theta_0$, or `None` where $\theta_0$ is fixed.
        adapted: the outcome of the adaptation.
    """

    gradient: Tensors | None
    adapted: Adapted


class Initialization:
    r"""What $\theta_0$ minimises: $C$ in Eq. 9, $J = L(\phi) + \lambda C(\theta_0)$.

    Subclasses implement `learn`; the meta-learner averages the gradients over tasks.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    @property
    def learns(self) -> bool:
        r"""Whether $\theta_0$ moves."""
        return True

    @property
    def differentiates_adaptation(self) -> bool:
        """Whether gradients are taken through the inner steps."""
        return False

    @property
    def differentiates_gradient_by(self) -> tuple[str, ...]:
        r"""By which of `"theta"` and `"phi"` the gradient of the task loss is differentiated."""
        return ("theta",) if self.differentiates_adaptation else ()

    @property
    def first_order_alternative(self) -> str:
        """What to use for models whose gradient cannot be differentiated, for messages."""
        return "MAML(first_order=True) or Reptile()"

    def inner_optimizer(self, optimizer: InnerOptimizer) -> InnerOptimizer:
        """Returns the update rule that solves this initialisation's inner problem.

        Args:
            optimizer: the inner optimizer that the meta-learner was given.
        """
        return optimizer

    def learn(
        self,
        adapt: AdaptFunction,
        theta: Tensors,
        task_loss: Callable[[InnerState], tf.Tensor],
        meta_loss: Callable[[InnerState], tf.Tensor],
    ) -> InitializationStep:
        r"""Adapts to a task and returns the gradient for $\theta_0$.

        Args:
            adapt: runs the inner loop.
            theta: $\theta_0$.
            task_loss: the task loss at a state, on the last inner batch.
            meta_loss: $L_{meta}$ at a state.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement learn().")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initialization":
        """Builds the initialisation from its configuration."""
        return cls(**config)


def observe_nothing(carry: Any, step: InnerStep) -> Any:
    """An observer that gathers nothing."""
    return carry
