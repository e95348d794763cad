"""The base class of objectives for warp parameters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation import Adaptation, Batch, InnerState, InnerStep
from warptf.layers.registration import register_layer_class

Tensors = list[tf.Tensor]


class Lookahead(NamedTuple):
    r"""One term of the warp meta-objective with its gradients.

    Attributes:
        step: the inner step looked ahead, or `None` where none was taken.
        meta_loss: $L_{meta}$ after the step, a scalar.
        phi_gradient: its gradient with respect to $\phi$.
        hyper_gradient: its gradient with respect to the inner optimizer's learned values.
        theta_gradient: its gradient with respect to $\theta_k$, where layers start from the support
            set and $\theta_k$ moves with them; else `None`.
    """

    step: InnerStep | None
    meta_loss: tf.Tensor
    phi_gradient: Tensors
    hyper_gradient: Tensors
    theta_gradient: Tensors | None = None


class Objective:
    r"""What the warp parameters $\phi$ minimise.

    A sum over $(\tau, k)$ of one-step terms, which `lookahead` gives; or, where
    `differentiates_adaptation`, the meta loss after the whole adaptation.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    @property
    def differentiates_adaptation(self) -> bool:
        """Whether gradients are taken through all inner steps, and not step by step."""
        return False

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
        self,
        problem: Adaptation,
        inner: InnerState,
        phi: Sequence[tf.Tensor],
        hyper: Sequence[tf.Tensor],
        batch: Batch,
        meta_batch: Batch,
    ) -> Lookahead:
        r"""Takes the inner step at $\theta_k$ and returns the term's value and gradients.

        Args:
            problem: the inner problem.
            inner: the state at $k$, a constant for the objective.
            phi: warp parameters.
            hyper: learned values of the inner optimizer.
            batch: mini-batch of the inner step.
            meta_batch: another mini-batch of the same task, for $L_{meta}$.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement lookahead().")

    def stored(
        self, problem: Adaptation, after: InnerState, phi: Sequence[tf.Tensor], meta_batch: Batch
    ) -> Lookahead:
        r"""Returns the term at a stored $\theta_{k+1}$; for objectives that replay no inner step.

        Args:
            problem: the inner problem.
            after: the stored state at $k + 1$.
            phi: warp parameters.
            meta_batch: mini-batch for $L_{meta}$.
        """
        raise NotImplementedError(f"{type(self).__name__} replays inner steps.")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Objective":
        """Builds the objective from its configuration."""
        return cls(**config)
