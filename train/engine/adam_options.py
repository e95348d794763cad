"""Options of the experiments that meta-train by Adam, many small meta-steps in one call."""

import dataclasses
from typing import Any

from .rate_schedule import Schedule, rate_schedule
from .run_options import RunOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamOptions(RunOptions):
    """Options of the outer steps; the configuration of each such experiment extends them."""

    inner_rate: float = 0.1
    """Rate of the adaptation steps."""
    meta_rate: float = 0.001
    """Rate of Adam, for what is meta-learned."""
    schedule: Schedule = "constant"
    """Rate of the meta-steps: constant, or falling to 0 by a cosine over all of them."""
    clip_norm: float | None = None
    """Norm to which the gradient of a meta-step is clipped."""
    skip_diverged: bool = False
    """Leave tasks out of a meta-step whose adaptation diverged, instead of ending the run."""
    execution_steps: int = 1
    """Meta-steps inside one compiled call."""

    @property
    def accumulates(self) -> bool:
        """Whether gradients can be gathered over the parts of a meta-batch."""
        return True

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        self._at_least("execution_steps", 1)
        for name in ("inner_rate", "meta_rate"):
            self._finite_above_zero(name)
        if self.clip_norm is not None:
            self._finite_above_zero("clip_norm")
        if self.epoch_steps % self.execution_steps:
            remedy = f"give a divisor of --epoch-steps {self.epoch_steps}"
            self._refuse("execution_steps", remedy)

    def outer_steps(self) -> dict[str, Any]:
        """Returns what `compile` of an online meta-learner is to be given for the outer steps."""
        # Not at the top: options are read without TensorFlow.
        import keras

        rate = rate_schedule(self.schedule, self.meta_rate, self.meta_steps)
        return dict(
            optimizer=keras.optimizers.Adam(rate, global_clipnorm=self.clip_norm),
            jit_compile=self.jit_compile,
            vectorize_tasks=self.vectorize,
            steps_per_execution=self.execution_steps,
            skip_diverged=self.skip_diverged,
        )
