"""The configuration of the surface experiment: fields, presets, checks."""

import dataclasses
from typing import Any, ClassVar, Literal, Self

from ...engine.adam_options import AdamOptions
from ...engine.run_options import Preset

Data = Literal["surfaces"]
MetaLearner = Literal["warp"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurfacesConfig(AdamOptions):
    """Two-dimensional loss surfaces: descend in a warped space, and look at it.

    The defaults depend on `--preset`; those shown are the ones that the flags given so far lead to.
    """

    preset: Preset = "laptop"
    """Size of the run: smoke ends within a minute, laptop within fifteen on two cores, paper is
    the published setting of 100 meta-steps. It sets the defaults below; a flag given here overrides
    them."""
    data: Data = "surfaces"
    """The tasks: random surfaces of one family, each with random starting points."""
    meta_learner: MetaLearner = "warp"
    """Method; it is compared with plain gradient descent from the same points."""
    second_order: Literal["exact", "none", "finite_difference"] = "exact"
    """Second-order term of the warp objective."""
    warp_units: int = 30
    """Hidden tanh units of the warp, a network of two layers."""
    surfaces: int = 1
    """Surfaces of a meta-batch."""
    starts: int = 10
    """Starting points on each surface; each is a task."""
    test_surfaces: int = 200
    """Validation surfaces, and test surfaces."""
    threads_per_operation: int = 1
    """Threads within one operation of TensorFlow; 0 leaves it to TensorFlow. With 1, tasks are
    learned side by side with a thread each."""
    inner_steps: int = 100
    """Adaptation steps."""

    EXPERIMENT: ClassVar[str] = "surfaces"
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = ("preset",)
    META_BATCH: ClassVar[str] = "starts"

    @property
    def meta_batch(self) -> int:
        """Number of tasks in a meta-batch: each starting point is one."""
        return self.surfaces * self.starts

    @classmethod
    def from_preset(cls, preset: Preset = "laptop", **overrides: Any) -> Self:
        """Returns the configuration of a preset.

        Args:
            preset: Size of the run.
            **overrides: Fields that differ from the preset.

        >>> SurfacesConfig.from_preset("paper").meta_steps
        100
        """
        return cls(**{**dict(preset=preset), **_PRESETS[preset], **overrides})

    def validate(self) -> None:
        """Checks the fields before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in ("warp_units", "surfaces", "starts", "test_surfaces", "inner_steps"):
            self._at_least(name, 1)
        if self.precision != "float32":
            self._refuse("precision", "a surface is descended in float32")


_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(
        starts=2, test_surfaces=3, inner_steps=5, meta_steps=4, epoch_steps=2, evaluate_every=1
    ),
    "laptop": dict(
        surfaces=10,
        meta_steps=4000,
        epoch_steps=500,
        evaluate_every=2,
        meta_rate=0.03,
        schedule="cosine",
        clip_norm=1.0,
        skip_diverged=True,
        execution_steps=10,
        jit="tasks",
    ),
    "paper": dict(meta_steps=100, epoch_steps=20, evaluate_every=1, jit="tasks"),
}
