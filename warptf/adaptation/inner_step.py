"""One inner step: what takes it, and what it gives."""

from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from warptf.adaptation.batches import Batch, StepBatch
from warptf.adaptation.inner_problem import InnerProblem, LossOutput
from warptf.adaptation.inner_state import InnerState
from warptf.adaptation.parameters import Parameters, Tensors


class InnerStep(NamedTuple):
    r"""One inner step, from $\theta_k$ to $\theta_{k+1}$.

    Attributes:
        before: the state at $k$.
        after: the state at $k + 1$.
        output: the task loss at $\theta_k$, in training mode.
        gradients: gradients of the task loss at $k$, one for each of `before.moving`.
        batch: the mini-batch of the task loss.
        terms: what an objective computed beside the step, a `Lookahead`; else `None`.
    """

    before: InnerState
    after: InnerState
    output: LossOutput
    gradients: Tensors
    batch: Batch
    terms: Any = None

    @property
    def loss(self) -> tf.Tensor:
        r"""The task loss at $\theta_k$."""
        return self.output.loss

    @property
    def predictions(self) -> Any:
        r"""The model's output at $\theta_k$ in training mode."""
        return self.output.predictions

    @property
    def theta_gradients(self) -> Tensors:
        r"""Gradients for the task parameters alone, $\nabla_\theta$."""
        return self.gradients[: len(self.before.theta)]


class Step(Protocol):
    r"""Takes one inner step, a pure function; the loop is handed one.

    Called with the inner problem, the state at $k$, what tasks share, and the step's batches.
    """

    def __call__(
        self, problem: InnerProblem, state: InnerState, shared: Parameters, batch: StepBatch, /
    ) -> InnerStep:
        """Returns the step."""


def stepped(
    problem: InnerProblem,
    state: InnerState,
    shared: Parameters,
    batch: StepBatch,
    output: LossOutput,
    gradients: Tensors,
) -> InnerStep:
    r"""Returns the step $u(\theta_k, g_k)$ along gradients that are known.

    Args:
        problem: the inner problem.
        state: the state at $k$.
        shared: warp parameters and learned values of the inner optimizer.
        batch: the step's mini-batches.
        output: the task loss at $k$.
        gradients: $g_k$, one for each of `state.moving`.
    """
    moved, optimizer = problem.optimizer.update(
        state.moving, gradients, state.optimizer, shared.hyper
    )
    after = state.moved(moved)._replace(optimizer=list(optimizer), state=output.state)
    return InnerStep(state, after, output, gradients, batch.task)
