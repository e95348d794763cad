r"""The base class of objectives for the initialisation."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation import (
    Adapted,
    InnerStep,
    LossOutput,
    Start,
    TaskAdaptation,
    Tensors,
    adapt,
)
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.layers.registration import register_layer_class
from warptf.needs import Need


class InitializationStep(NamedTuple):
    r"""What an initialisation learned from one task.

    Attributes:
        gradient: its gradient for $\theta_0$, or `None` where $\theta_0$ is fixed.
        adapted: the outcome of the adaptation, with what the task's own observers saw.
    """

    gradient: Tensors | None
    adapted: Adapted


class Initialization:
    r"""What $\theta_0$ minimises: $C$ in Eq. 9, $J = L(\phi) + \lambda C(\theta_0)$.

    An initialisation watches the inner loop: subclasses implement `end`, which returns the gradient
    for $\theta_0$, and where they gather something on the way, `begin` and `observe`. One that
    differentiates the loop, or runs it in another way, implements `learn`, and calls
    `warptf.adaptation.adapt` itself. The meta-learner averages the gradients over tasks.
    Initialisations see the task parameters alone, never context variables.

    Example:
        >>> import tensorflow as tf, warptf
        >>> class HalfReptile(warptf.initializations.Initialization):
        ...     def end(self, adapted, carry):
        ...         start, final = adapted.start.state.theta, adapted.final.theta
        ...         return [0.5 * (a - b) for a, b in zip(start, final)]
        >>> HalfReptile().learns
        True
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    @property
    def needs(self) -> Sequence[Need]:
        """The ways in which it can be learned, of which a meta-learner must offer one."""
        return (Need.INNER_LOOP,)

    @property
    def because(self) -> str:
        """Why it needs these, a clause for messages; may be empty."""
        return ""

    @property
    def learns(self) -> bool:
        r"""Whether $\theta_0$ moves."""
        return True

    @property
    def differentiates_adaptation(self) -> bool:
        """Whether gradients are taken through the inner steps."""
        return Need.WHOLE_ADAPTATION in self.needs

    @property
    def differentiated(self) -> Callable[[Adapted], LossOutput] | None:
        r"""The loss whose gradient in $\theta_0$, through all steps, this one takes, if it does.

        An objective that differentiates the same loss then takes both gradients in one pass.
        """
        return None

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

    def learn(self, task: TaskAdaptation) -> InitializationStep:
        r"""Adapts to a task and returns the gradient for $\theta_0$.

        Args:
            task: all that adaptation takes.
        """
        watching = (_Carried(self), *task.observers)
        start = task.start()
        adapted = adapt(task.problem, start, task.batches, task.steps, task.step, watching)
        carry, *others = adapted.observed
        adapted = adapted._replace(observed=tuple(others))
        return InitializationStep(self.end(adapted, carry), adapted)

    def begin(self, start: Start) -> Any:
        """Returns what is carried into the first step.

        Args:
            start: where adaptation starts.
        """
        return ()

    def observe(self, k: tf.Tensor, step: InnerStep, carry: Any) -> Any:
        """Returns what is carried on from an inner step.

        Args:
            k: the number of the step.
            step: the step.
            carry: what was carried into it.
        """
        return carry

    def end(self, adapted: Adapted, carry: Any) -> Tensors | None:
        r"""Returns the gradient for $\theta_0$; `None` if it does not move.

        Args:
            adapted: the outcome of the adaptation.
            carry: what the last step carried on.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement learn() or end().")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initialization":
        """Builds the initialisation from its configuration."""
        return cls(**config)


class _Carried:
    """Observes the loop for an initialisation, which looks at the outcome when it is there."""

    def __init__(self, initialization: Initialization) -> None:
        self.begin = initialization.begin
        self.observe = initialization.observe

    def end(self, adapted: Adapted, carry: Any) -> Any:
        """Returns what the last step carried on."""
        return carry
