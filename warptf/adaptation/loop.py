"""The inner loop: how task parameters move on one task, and who watches."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from warptf.adaptation.batches import Batches, StepBatch, batch_at
from warptf.adaptation.gradients import dense_gradient
from warptf.adaptation.inner_problem import InnerProblem, LossOutput
from warptf.adaptation.inner_state import InnerState, Start
from warptf.adaptation.inner_step import InnerStep, Step, stepped
from warptf.adaptation.parameters import Parameters


class Adapted(NamedTuple):
    r"""The outcome of adapting to one task.

    Attributes:
        final: the state at $k = K$.
        observed: what each observer made of the steps, in the order of the observers.
        problem: the inner problem.
        start: where adaptation started.
        batches: the mini-batches of the steps.
        steps: $K$.
    """

    final: InnerState
    observed: tuple[Any, ...]
    problem: InnerProblem
    start: Start
    batches: Batches
    steps: int | tf.Tensor

    @property
    def last(self) -> StepBatch:
        """The mini-batches of the last step; those of step 0 where there was none."""
        steps = self.steps
        last = max(steps - 1, 0) if isinstance(steps, int) else tf.maximum(steps - 1, 0)
        return batch_at(self.batches, tf.convert_to_tensor(last))

    def final_loss(self) -> LossOutput:
        r"""Returns $L_{meta}(\theta_K; \phi)$ on the last meta batch, what adaptation is for."""
        return self.problem.meta_loss_at(self.final, self.start.shared, self.last.meta)


class Observer(Protocol):
    """Watches the inner loop by three pure functions."""

    def begin(self, start: Start, /) -> Any:
        """Returns what is carried into the first step."""

    def observe(self, k: tf.Tensor, step: InnerStep, carry: Any, /) -> Any:
        """Returns what is carried on from step `k`, of the same structure."""

    def end(self, adapted: Adapted, carry: Any, /) -> Any:
        """Returns what was observed, given the outcome and what the last step carried on."""


def plain(
    problem: InnerProblem,
    state: InnerState,
    shared: Parameters,
    batch: StepBatch,
    meta_weight: float | None = None,
) -> InnerStep:
    r"""Takes a step along the gradient of the task loss.

    Args:
        problem: the inner problem.
        state: the state at $k$.
        shared: warp parameters and learned values of the inner optimizer.
        batch: the step's mini-batches.
        meta_weight: $\nu$, where the step descends $L_{task} + \nu L_{meta}$; `None` for the task
            loss alone.
    """
    moving = state.moving
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(moving)
        output = problem.loss_at(state, shared, batch.task)
        descended = output.loss
        if meta_weight is not None:
            descended += meta_weight * problem.meta_loss_at(state, shared, batch.meta).loss
    gradients = dense_gradient(tape, descended, moving)
    return stepped(problem, state, shared, batch, output, gradients)


def adapt(
    problem: InnerProblem,
    start: Start,
    batches: Batches,
    steps: int | tf.Tensor,
    step: Step = plain,
    observers: Sequence[Observer] = (),
) -> Adapted:
    r"""Runs the inner loop, $\theta_{k+1} = u(\theta_k, \nabla L_{task}(\theta_k; \phi))$.

    Every adaptation is this loop: in training, evaluation, serving and export.

    Args:
        problem: the inner problem.
        start: the state at $k = 0$, and what tasks share.
        batches: the mini-batches of the steps.
        steps: $K$.
        step: what takes a step. Defaults to the plain one.
        observers: who watches the steps.
    """

    def advance(k: tf.Tensor, state: InnerState, carries: tuple[Any, ...]) -> tuple[Any, ...]:
        taken = step(problem, state, start.shared, batch_at(batches, k))
        seen = [o.observe(k, taken, c) for o, c in zip(observers, carries, strict=True)]
        return k + 1, taken.after, tuple(seen)

    _, final, carries = tf.while_loop(
        lambda k, *_: k < steps,
        advance,
        (tf.constant(0), start.state, tuple(o.begin(start) for o in observers)),
        # XLA wants the bound to be known when it compiles.
        maximum_iterations=steps if isinstance(steps, int) else None,
    )
    adapted = Adapted(final, (), problem, start, batches, steps)
    ends = [o.end(adapted, carry) for o, carry in zip(observers, carries, strict=True)]
    return adapted._replace(observed=tuple(ends))


def looking_ahead(lookahead: Callable[..., Any], differentiated: bool = False) -> Step:
    r"""Returns the step of an objective, which carries the objective's terms.

    Args:
        lookahead: `Objective.lookahead` of an objective.
        differentiated: whether gradients will be taken through the steps. For the objective
            $\theta_k$ is a constant, and for those gradients $\phi$ is one: then the step is taken
            beside the objective's own.
    """

    def step(
        problem: InnerProblem, state: InnerState, shared: Parameters, batch: StepBatch
    ) -> InnerStep:
        constant = state
        if differentiated:
            constant = tf.nest.map_structure(tf.stop_gradient, state)
            shared = shared._replace(phi=[tf.stop_gradient(p) for p in shared.phi])
        look = lookahead(problem, constant, shared, batch)
        taken = plain(problem, state, shared, batch) if differentiated else look.step
        return taken._replace(terms=look)

    return step
