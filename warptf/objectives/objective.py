"""The base class of objectives for warp parameters."""

from collections.abc import Sequence
from typing import Any

from warptf.adaptation import (
    Batch,
    InnerProblem,
    InnerState,
    Parameters,
    StepBatch,
    TaskAdaptation,
    Tensors,
)
from warptf.initializations.initialization import Initialization
from warptf.layers.registration import register_layer_class
from warptf.needs import Need
from warptf.objectives.lookahead import Lookahead
from warptf.objectives.stream_step import StreamStep
from warptf.objectives.task_gradients import TaskGradients


class Objective:
    r"""What the warp parameters $\phi$ minimise.

    An objective says by `needs` in which ways it can be learned, and implements what these call:

    * inner steps taken one by one: `lookahead`, a term of a sum over $(\tau, k)$;
    * inner steps stored and replayed: `lookahead` again, or `stored` in its place;
    * a stream: `stream_gradient`;
    * an adaptation differentiated as a whole: `learn`.

    Example:
        >>> import warptf
        >>> from warptf.objectives import Objective, WarpGrad
        >>> class HalfWarpGrad(Objective):
        ...     def lookahead(self, problem, state, shared, batch):
        ...         look = WarpGrad().lookahead(problem, state, shared, batch)
        ...         return look._replace(phi_gradient=[0.5 * g for g in look.phi_gradient])
        >>> [need.name for need in HalfWarpGrad().needs]
        ['INNER_LOOP', 'STORED_STEPS']
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    @property
    def needs(self) -> Sequence[Need]:
        """The ways in which it can be learned, of which a meta-learner must offer one."""
        return (Need.INNER_LOOP, Need.STORED_STEPS)

    @property
    def because(self) -> str:
        """Why it needs these, a clause for messages; may be empty."""
        return ""

    @property
    def differentiates_adaptation(self) -> bool:
        """Whether gradients are taken through all inner steps, and not step by step."""
        return Need.WHOLE_ADAPTATION in self.needs

    @property
    def differentiates_gradient_by(self) -> tuple[str, ...]:
        r"""By which of `"theta"` and `"phi"` the gradient of the task loss is differentiated."""
        return ("theta", "phi") if self.differentiates_adaptation else ()

    @property
    def first_order_alternative(self) -> str:
        """What to use for models whose gradient cannot be differentiated, for messages."""
        return 'WarpGrad("finite_difference") or WarpGrad("none")'

    @property
    def replays_inner_step(self) -> bool:
        r"""Whether a replay takes the step at $\theta_k$ again, or starts at $\theta_{k+1}$."""
        return True

    def lookahead(
        self, problem: InnerProblem, state: InnerState, shared: Parameters, batch: StepBatch
    ) -> Lookahead:
        r"""Takes the inner step at $\theta_k$ and returns the term's value and gradients.

        Args:
            problem: the inner problem.
            state: the state at $k$, a constant for the objective.
            shared: warp parameters, and learned values of the inner optimizer.
            batch: a mini-batch of the inner step, and another of the same task for $L_{meta}$.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement lookahead().")

    def stored(
        self, problem: InnerProblem, after: InnerState, shared: Parameters, meta_batch: Batch
    ) -> Lookahead:
        r"""Returns the term at a stored $\theta_{k+1}$; for objectives that replay no inner step.

        Args:
            problem: the inner problem.
            after: the stored state at $k + 1$.
            shared: warp parameters.
            meta_batch: mini-batch for $L_{meta}$.
        """
        raise NotImplementedError(f"{type(self).__name__} replays inner steps.")

    def stream_gradient(self, step: StreamStep) -> Tensors:
        r"""Returns the gradient for $\phi$ at one step of a stream, $\theta$ having moved.

        Args:
            step: the step.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement stream_gradient().")

    def learn(self, task: TaskAdaptation, initialization: Initialization) -> TaskGradients:
        r"""Adapts to a task, and returns the gradients through the whole of it.

        Args:
            task: all that adaptation takes.
            initialization: what $\theta_0$ minimises.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement learn().")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Objective":
        """Builds the objective from its configuration."""
        return cls(**config)
