"""The options of the methods: how tasks are learned, and how that is meta-learned."""

import dataclasses
from typing import Any, Literal

from .. import methods
from .rate_schedule import Schedule
from .run_options import RunOptions

_RATES = ("inner_rate", "meta_rate", "initialization_rate", "proximal_weight", "perturbation")
_COUNTS = ("inner_steps", "evaluation_steps", "conjugate_gradient_steps")


def outer_step_defaults(meta_learner: str, outer_optimizer: str | None) -> dict[str, Any]:
    """Returns the defaults of a method's outer steps, where they differ from those of others.

    Args:
        meta_learner: The method.
        outer_optimizer: The optimizer that was asked for; another than the method's own one
            comes without its rates.

    >>> outer_step_defaults("reptile", "adam")
    {}
    """
    own = dict(methods.find(meta_learner).outer_steps)
    return own if outer_optimizer in (None, own.get("outer_optimizer")) else {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodOptions(RunOptions):
    """Options shared by the experiments that offer every initialization, warped and not."""

    meta_learner: str = "warp-maml"
    """Method; none adapts from a random initialization, without meta-training."""
    second_order: Literal["exact", "none", "finite_difference"] | None = "exact"
    """Second-order term of the warp objective; None for the methods without warp layers."""
    inner_steps: int = 5
    """Adaptation steps of each task in meta-training."""
    evaluation_steps: int = 5
    """Adaptation steps of each validation and test task."""
    inner_rate: float = 0.1
    """Rate of the adaptation steps, or where learned rates start."""
    inner_momentum: float = 0.0
    """Momentum of the adaptation steps."""
    outer_optimizer: Literal["adam", "sgd"] = "adam"
    """Keras optimizer of the meta-steps; sgd has a momentum of --outer-momentum."""
    outer_momentum: float = 0.0
    """Momentum of the meta-steps, for --outer-optimizer sgd."""
    meta_rate: float = 1e-3
    """Rate of the meta-steps of the warp layers, and of all that is shared but not adapted."""
    initialization_rate: float = 1e-3
    """Rate of the meta-steps of the initialization."""
    schedule: Schedule = "constant"
    """Rates of the meta-steps: constant, or falling to 0 by a cosine over all of them."""
    clip_norm: float | None = None
    """Norm to which the gradient of a meta-step is clipped, that of the initialization, that of
    shared layers and that of learned rates each on its own."""
    normalize_gradient: bool = False
    """Divide each of these gradients by its norm."""
    proximal_weight: float = 1.0
    """Weight of the pull towards the initialization, for imaml, warp-imaml and fo-b-maml."""
    conjugate_gradient_steps: int = 5
    """Steps of conjugate gradient, for imaml and warp-imaml."""
    system: Literal["exact", "damped"] = "exact"
    """Linear system of imaml and warp-imaml: exact, or damped as in iMAML's authors' code."""
    perturbation: float = 0.01
    """Weight of the meta loss in the perturbed inner problem of fo-b-maml."""
    symmetric: bool = False
    """Perturb in both directions, for fo-b-maml."""

    @property
    def accumulates(self) -> bool:
        """Whether gradients can be gathered over the parts of a meta-batch."""
        return True

    @property
    def method(self) -> methods.Method:
        """What the method is composed of, and what applies to it."""
        return methods.find(self.meta_learner)

    @property
    def warped(self) -> bool:
        """Whether the method has warp layers of a chosen architecture."""
        return self.method.warped

    @property
    def reads_query_at_every_step(self) -> bool:
        """Whether meta-training looks at the query set at each inner step, not only after all."""
        return self.warped or self.method.every_step

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in _COUNTS:
            if not self.method.inner_steps and name in ("inner_steps", "evaluation_steps"):
                if getattr(self, name) != 0:
                    self._refuse(name, f"--meta-learner {self.meta_learner} takes no steps; give 0")
                continue
            self._at_least(name, 1)
        for name in _RATES:
            self._finite_above_zero(name)
        if self.clip_norm is not None:
            self._finite_above_zero("clip_norm")
        for name in ("inner_momentum", "outer_momentum"):
            if not 0 <= getattr(self, name) < 1:
                self._refuse(name, "give a number from 0 up to, but not including, 1")
        self._check_outer_steps()
        for name in methods.own_fields():
            if hasattr(self, name) and self.meta_learner not in methods.users(name):
                using = " or ".join(methods.users(name))
                self._only_default(name, f"is for --meta-learner {using}")
        if not self.method.meta_trained:
            self._check_untrained()

    def _check_outer_steps(self) -> None:
        if self.outer_momentum and self.outer_optimizer != "sgd":
            self._refuse("outer_momentum", "give --outer-optimizer sgd with it, or 0")
        if self.clip_norm is not None and self.normalize_gradient:
            remedy = "--normalize-gradient divides by it; give --clip-norm None"
            self._refuse("clip_norm", remedy)

    def _check_untrained(self) -> None:
        reason = f"--meta-learner {self.meta_learner} has no meta-training"
        if self.meta_steps:
            self._refuse("meta_steps", f"{reason}; leave it out")
        for name in ("patience", "clip_norm", "normalize_gradient"):
            self._only_default(name, reason)

    def _check_warp(self, *names: str) -> None:
        """Checks that fields of the warp layers are given with warped methods, and only these."""
        warped = methods.that(self.EXPERIMENT, objective="warp")
        for name in names:
            value = getattr(self, name)
            if self.warped and value is None:
                self._refuse(name, f"--meta-learner {self.meta_learner} needs one")
            if not self.warped and value is not None:
                remedy = f"leave it out, or use --meta-learner {' or '.join(warped)}"
                self._refuse(name, f"--meta-learner {self.meta_learner} has none; {remedy}")

    def _only_default(self, name: str, reason: str) -> None:
        if getattr(self, name) != getattr(type(self), name):
            self._refuse(name, f"{reason}; leave it out")
