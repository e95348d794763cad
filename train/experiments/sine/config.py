"""The configuration of the sine experiment: fields, presets, checks."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ... import methods
from ...engine.method_options import MethodOptions, outer_step_defaults
from ...engine.run_options import Preset

Data = Literal["sine"]
if TYPE_CHECKING:
    MetaLearner = str
else:
    MetaLearner = Literal[methods.names("sine")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SineConfig(MethodOptions):
    """Few-shot sine regression: learn a sine of random amplitude and phase from a few points.

    The defaults depend on `--preset` and `--meta-learner`; those shown are the ones that the flags
    given so far lead to.
    """

    preset: Preset = "laptop"
    """Size of the run: smoke ends within seconds, laptop within a minute on two cores, paper has
    the 70,000 meta-steps of MAML's authors. It sets the defaults below; a flag given here overrides
    them."""
    data: Data = "sine"
    """The tasks: sines with an amplitude in [0.1, 5] and a phase in [0, pi], on [-5, 5]."""
    meta_learner: MetaLearner = "warp-maml"
    """Method; none adapts from a random initialization, without meta-training."""
    units: int = 40
    """Units of each hidden layer."""
    layers: int = 2
    """Hidden layers."""
    warp_units: int | None = 20
    """Units of the warp block after each hidden layer; None for the methods without."""
    shots: int = 10
    """Points to learn from."""
    queries: int = 10
    """Points of the meta loss."""
    evaluation_queries: int = 100
    """Points to score on, in validation and test tasks."""
    tasks: int = 25
    """Tasks in a meta-batch."""
    test_tasks: int = 600
    """Validation tasks, and test tasks."""
    threads_per_operation: int = 1
    """Threads within one operation of TensorFlow; 0 leaves it to TensorFlow. With 1, tasks are
    learned side by side with a thread each."""
    inner_rate: float = 0.01
    """Rate of the adaptation steps, or where learned rates start."""

    EXPERIMENT: ClassVar[str] = "sine"
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = ("preset", "meta_learner")

    @classmethod
    def from_preset(
        cls, preset: Preset = "laptop", meta_learner: MetaLearner = "warp-maml", **overrides: Any
    ) -> Self:
        """Returns the configuration of a preset.

        Args:
            preset: Size of the run.
            meta_learner: Method.
            **overrides: Fields that differ from the preset.

        >>> SineConfig.from_preset("paper", "maml").meta_steps
        70000
        """
        values: dict[str, Any] = dict(preset=preset, meta_learner=meta_learner)
        values |= _PRESETS[preset]
        values |= outer_step_defaults(meta_learner, overrides.get("outer_optimizer"))
        method = methods.find(meta_learner)
        if not method.warped:
            values |= dict(warp_units=None, second_order=None)
        if not method.meta_trained:
            values |= dict(meta_steps=0)
        return cls(**{**values, **overrides})

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in _COUNTS:
            self._at_least(name, 1)
        if self.warp_units is not None:
            self._at_least("warp_units", 1)
        self._check_warp("warp_units", "second_order")


_COUNTS = ("units", "layers", "shots", "queries", "evaluation_queries", "tasks", "test_tasks")

_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(
        units=8,
        tasks=4,
        test_tasks=20,
        inner_steps=2,
        evaluation_steps=2,
        meta_steps=4,
        epoch_steps=2,
        evaluate_every=1,
    ),
    "laptop": dict(
        meta_steps=1000,
        epoch_steps=100,
        evaluate_every=2,
        checkpoint_every=5,
        meta_rate=5e-3,
        initialization_rate=5e-3,
        schedule="cosine",
        jit="tasks",
    ),
    "paper": dict(
        inner_steps=1,
        evaluation_steps=10,
        meta_steps=70_000,
        epoch_steps=1000,
        evaluate_every=5,
        jit="tasks",
    ),
}
