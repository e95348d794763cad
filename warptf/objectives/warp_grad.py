"""The WarpGrad objective."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation import (
    Batch,
    InnerProblem,
    InnerState,
    LossOutput,
    Parameters,
    StepBatch,
    Tensors,
    dense_gradient,
    gradient_along,
    stepped,
)
from warptf.needs import Need
from warptf.objectives.lookahead import Lookahead
from warptf.objectives.objective import Objective
from warptf.objectives.stream_step import StreamStep

SECOND_ORDER = ("exact", "finite_difference", "none")
_FORWARD_STEP, _CENTRAL_STEP = 1e-4, 5e-4


class WarpGrad(Objective):
    r"""The warp meta-objective: one-step look-aheads along adaptation.

    Exact, Eq. 7: $L(\phi) = \sum_\tau \sum_k L_{meta}(u(\theta_k, \nabla L_{task}(\theta_k; \phi));
    \phi)$. Its gradient is the direct part $\partial_\phi L_{meta}$ at the stepped point plus, with
    $v = \nabla_\theta L_{meta}$ there and $w = (\partial u / \partial g)^\top v$, the mixed
    second-order part $\partial_\phi (\nabla_\theta L_{task}(\theta_k; \phi) \cdot w)$. $\theta_k$
    is a constant: nothing is backpropagated along the trajectory.

    Approximate, Eq. 8: the stepped point is a constant too, and the mixed part is dropped.

    Finite difference: the mixed part as $[\nabla_\phi L_{task}(\theta_k + \epsilon w) - \nabla_\phi
    L_{task}(\theta_k - \epsilon w)] / 2\epsilon$, from first derivatives only, so that it passes
    through layers that have no second ones. $\epsilon$ is chosen for each term so that
    $\|\epsilon w\|$ is `relative_step` times $1 + \|\theta_k\|$. Where the learner is smooth it
    agrees with the exact gradient to a part in a thousand in single precision. Where
    $\nabla_\phi L$ jumps (ReLU, max-pooling) the difference divides the jumps by its step and can
    be many times too long: there use the exact gradient, or a `relative_step` of about 0.05.

    Where a head starts at class means (`layers.ClassMeanHead`), the start of $\theta$ is itself a
    function of $\phi$. Then what is constant is the way from there, $\theta_k - \theta_0(\phi)$,
    and the gradient includes that through $\theta_0(\phi)$.

    Args:
        second_order: `"exact"` (default), `"finite_difference"` or `"none"` (Eq. 8).
        central: whether the difference is central, as above, with an error of second order; or
            forward, $[\nabla_\phi L(\theta + \epsilon w) - \nabla_\phi L(\theta)] / \epsilon$,
            which takes one gradient less, the inner step having computed it, and is off by a few
            parts in a thousand where the loss is much curved. Defaults to `True`.
        relative_step: size of the difference's step, see above. By default 5e-4, or 1e-4 for the
            forward difference: about where rounding in single precision and the difference's own
            error balance.

    Raises:
        ValueError: an unknown mode or a step that is not positive.

    Example:
        >>> import warptf
        >>> warptf.objectives.WarpGrad("none").second_order
        'none'

    Reference:
        arXiv 1909.00025, equations 7 and 8.
    """

    def __init__(
        self,
        second_order: str = "exact",
        central: bool = True,
        relative_step: float | None = None,
    ) -> None:
        if second_order not in SECOND_ORDER:
            raise ValueError(f"second_order must be one of {SECOND_ORDER}, got {second_order!r}.")
        if relative_step is not None and not 0 < relative_step < float("inf"):
            raise ValueError(f"relative_step must be above 0 and finite, got {relative_step}.")
        self.second_order = second_order
        self.central = bool(central)
        self.relative_step = None if relative_step is None else float(relative_step)

    @property
    def needs(self) -> Sequence[Need]:
        """The ways in which it can be learned."""
        steps = (Need.INNER_LOOP, Need.STORED_STEPS)
        return steps if self.second_order == "exact" else (*steps, Need.STREAM)

    @property
    def because(self) -> str:
        """Why the exact gradient needs inner steps."""
        exact = 'with second_order="exact" differentiates inner steps twice'
        return exact if self.second_order == "exact" else ""

    @property
    def replays_inner_step(self) -> bool:
        r"""Whether a replay takes the step again; Eq. 8 needs only the stored $\theta_{k+1}$."""
        return self.second_order != "none"

    @property
    def differentiates_gradient_by(self) -> tuple[str, ...]:
        r"""By which of `"theta"` and `"phi"` the gradient of the task loss is differentiated."""
        return ("phi",) if self.second_order == "exact" else ()

    def lookahead(
        self, problem: InnerProblem, state: InnerState, shared: Parameters, batch: StepBatch
    ) -> Lookahead:
        """Takes the inner step and returns the term's value and gradients."""
        phi, hyper, theta = list(shared.phi), list(shared.hyper), state.moving
        task = self._task_gradients(problem, state, phi, batch.task)
        with tf.GradientTape(watch_accessed_variables=False) as update_tape:
            update_tape.watch([task.theta, hyper, theta])
            step = stepped(problem, state, shared, batch, task.output, task.theta)
            moved = step.after.moving
        moves = problem.learner.starts_from_support
        needs_v = bool(hyper) or moves
        meta_loss, v, direct = self._meta(problem, step.after, phi, batch.meta, needs_v)
        if v is None:
            return Lookahead(step, meta_loss, direct, [])
        # w = (du/dg)^T v, and the same for the learned hyper-parameters and theta_k itself.
        w, hyper_gradient, through = dense_gradient(
            update_tape, moved, [task.theta, hyper, theta], v
        )
        total = [*direct, *through] if moves else direct
        if self.second_order == "none":
            # Eq. 8: the stepped point stands for theta_k.
            total = [*direct, *v] if moves else direct
        else:
            if self.second_order == "exact":
                sources = _sources(problem, theta, phi)
                mixed = gradient_along(task.tape, task.theta, sources, w)
            else:
                mixed = self._difference(problem, state, phi, batch.task, w, task.phi)
            total = [d + m for d, m in zip(total, mixed, strict=True)]
        theta_gradient = total[len(phi) :] if moves else None
        return Lookahead(step, meta_loss, total[: len(phi)], hyper_gradient, theta_gradient)

    def stored(
        self, problem: InnerProblem, after: InnerState, shared: Parameters, meta_batch: Batch
    ) -> Lookahead:
        r"""Returns the term of Eq. 8 at a stored $\theta_{k+1}$, with no inner step."""
        meta_loss, _, direct = self._meta(problem, after, list(shared.phi), meta_batch, False)
        return Lookahead(None, meta_loss, direct, [])

    def stream_gradient(self, step: StreamStep) -> Tensors:
        r"""Returns Eq. 8 at the moved $\theta$; of Eq. 7, with the estimate of the mixed part.

        The step that is looked ahead is one of gradient descent, $u = \theta - \alpha g$.
        """
        if self.second_order == "none":
            return step.meta_phi()
        meta = step.meta()
        # w = (du/dg)^T v, with v over the tasks of all replicas: the mean of their products is not
        # the product of the means.
        w = [-tf.cast(step.rate, v.dtype) * v for v in step.over_replicas(meta.theta)]
        mixed = self.mixed_difference(step.phi_gradient_at, step.before, w, step.learned.phi)
        return [direct + m for direct, m in zip(meta.phi, mixed, strict=True)]

    def _task_gradients(
        self, problem: InnerProblem, state: InnerState, phi: Tensors, batch: Batch
    ) -> "_TaskGradients":
        """Returns the task loss with its gradients, of which the mixed part is to be taken."""
        theta = state.moving
        if self.second_order == "exact":
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(_sources(problem, theta, phi))
                found = _gradients(problem, theta, state, phi, batch, False)
            return found._replace(tape=tape)
        needs_phi = self.second_order == "finite_difference" and not self.central
        found = _gradients(problem, theta, state, phi, batch, needs_phi)
        if problem.learner.starts_from_support:
            return found._replace(phi=[*found.phi, *found.theta])
        return found

    def _meta(
        self, problem: InnerProblem, after: InnerState, phi: Tensors, batch: Batch, with_v: bool
    ) -> tuple[tf.Tensor, Tensors | None, Tensors]:
        """Returns the meta loss at the stepped point, v where it is needed, and the direct part."""
        needs_v = with_v or self.second_order != "none"
        theta = [tf.stop_gradient(t) for t in after.moving]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([theta, phi] if needs_v else phi)
            output = problem.meta_loss(theta, phi, after.state, batch)
        loss = output.reported["loss"]
        if needs_v:
            v, direct = dense_gradient(tape, output.loss, [theta, phi])
            return loss, v, direct
        return loss, None, dense_gradient(tape, output.loss, phi)

    def _difference(
        self,
        problem: InnerProblem,
        state: InnerState,
        phi: Tensors,
        batch: Batch,
        w: Tensors,
        phi_gradient: Tensors,
    ) -> Tensors:
        """Returns the finite-difference estimate of the mixed part along w."""

        def phi_gradient_at(theta: Tensors) -> Tensors:
            sources = _sources(problem, theta, phi)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                loss = problem.loss(theta, phi, state.state, batch).loss
            return dense_gradient(tape, loss, sources)

        return self.mixed_difference(phi_gradient_at, state.moving, w, phi_gradient)

    def mixed_difference(
        self,
        phi_gradient_at: Callable[[Tensors], Tensors],
        theta: Tensors,
        w: Tensors,
        phi_gradient: Tensors,
    ) -> Tensors:
        r"""Returns the finite difference of $\nabla_\phi L_{task}$ along `w`.

        Args:
            phi_gradient_at: returns $\nabla_\phi L_{task}$ at values of $\theta$.
            theta: $\theta_k$.
            w: the direction, and by its length the factor.
            phi_gradient: $\nabla_\phi L_{task}(\theta_k; \phi)$, of use to the forward difference
                alone.
        """
        default = _CENTRAL_STEP if self.central else _FORWARD_STEP
        size = (self.relative_step or default) * (1.0 + tf.linalg.global_norm(theta))
        epsilon = tf.math.divide_no_nan(size, tf.linalg.global_norm(w))

        def at(scale: tf.Tensor) -> Tensors:
            return phi_gradient_at(
                [t + tf.cast(scale, t.dtype) * d for t, d in zip(theta, w, strict=True)]
            )

        width = 2.0 * epsilon if self.central else epsilon
        behind = at(-epsilon) if self.central else phi_gradient
        return [
            tf.math.divide_no_nan(a - b, tf.cast(width, a.dtype))
            for a, b in zip(at(epsilon), behind, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "second_order": self.second_order,
            "central": self.central,
            "relative_step": self.relative_step,
        }


class _TaskGradients(NamedTuple):
    """The task loss at a point, with its gradients and what they were recorded by."""

    output: LossOutput
    theta: Tensors
    phi: Tensors
    tape: tf.GradientTape | None = None


def _sources(problem: InnerProblem, theta: Tensors, phi: Tensors) -> Tensors:
    r"""Returns what the mixed part is taken at: phi, and $\theta_k$ where it moves with phi."""
    return [*phi, *theta] if problem.learner.starts_from_support else phi


def _gradients(
    problem: InnerProblem,
    theta: Tensors,
    state: InnerState,
    phi: Tensors,
    batch: Batch,
    with_phi: bool,
) -> _TaskGradients:
    """Returns the task loss with its gradients in theta and, if asked for, in phi."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([theta, phi] if with_phi else theta)
        output = problem.loss(theta, phi, state.state, batch)
    if with_phi:
        return _TaskGradients(output, *dense_gradient(tape, output.loss, [theta, phi]))
    return _TaskGradients(output, dense_gradient(tape, output.loss, theta), [])
