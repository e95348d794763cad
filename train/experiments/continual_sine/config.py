"""The configuration of the continual experiment: fields, presets, checks."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ... import sources
from ...engine.adam_options import AdamOptions
from ...engine.run_options import Preset

if TYPE_CHECKING:
    Data = str
else:
    Data = Literal["sine", *sources.names("continual-sine")]
MetaLearner = Literal["warp", "warp-ordinary", "maml", "sgd", "replay"]

WARPED = ("warp", "warp-ordinary")
UNTRAINED = ("sgd", "replay")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContinualSineConfig(AdamOptions):
    """Learning without forgetting: parts of a task are seen one after another, never again.

    The defaults depend on `--preset`, `--data` and `--meta-learner`; those shown are the ones that
    the flags given so far lead to.
    """

    preset: Preset = "laptop"
    """Size of the run: smoke ends within a minute, laptop within fifteen on two cores, paper is
    the published setting. It sets the defaults below; a flag given here overrides them."""
    data: Data = "sine"
    """The sequences: a curve seen interval after interval (sine), or groups of characters seen one
    after another, of glyphs rendered from fonts or of Omniglot."""
    meta_learner: MetaLearner = "warp"
    """Method: warp layers learned against forgetting (warp) or for the sub-task at hand alone
    (warp-ordinary), on a fixed random initialization; a meta-learned initialization (maml); none
    (sgd); none, but with all that was seen at hand (replay)."""
    second_order: Literal["exact", "none", "finite_difference"] | None = "exact"
    """Second-order term of the warp objective; None for the methods without warp layers."""
    units: int | None = 200
    """Units of each of three hidden layers, for --data sine."""
    warp_units: int | None = 100
    """Units of the warp block after each hidden layer, for --data sine; None for the methods
    without."""
    filters: int | None = None
    """Filters of each convolution of the four blocks, for characters."""
    ways: int | None = None
    """Classes of a sub-task, for characters."""
    sub_tasks: int = 5
    """Parts of a task."""
    sub_task_steps: int = 20
    """Adaptation steps on each part."""
    batch_size: int = 5
    """Examples in the mini-batch of an adaptation step, and of each part in the meta loss."""
    tasks: int = 5
    """Tasks in a meta-batch."""
    test_tasks: int = 100
    """Validation tasks, and test tasks."""
    evaluation_queries: int = 100
    """Examples of each part to score on, in validation and test tasks."""
    shuffled: tuple[int, ...] = (1, 3, 4, 2, 0)
    """Another order of the parts, in which the test tasks are learned too."""
    threads_per_operation: int = 1
    """Threads within one operation of TensorFlow; 0 leaves it to TensorFlow. With 1, tasks are
    learned side by side with a thread each."""
    inner_rate: float = 0.001
    """Rate of the adaptation steps."""

    EXPERIMENT: ClassVar[str] = "continual-sine"
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = ("preset", "data", "meta_learner")

    @classmethod
    def from_preset(
        cls,
        preset: Preset = "laptop",
        data: Data = "sine",
        meta_learner: MetaLearner = "warp",
        **overrides: Any,
    ) -> Self:
        """Returns the configuration of a preset.

        Args:
            preset: Size of the run.
            data: The sequences.
            meta_learner: Method.
            **overrides: Fields that differ from the preset.

        >>> ContinualSineConfig.from_preset("paper").meta_steps
        20000
        """
        values: dict[str, Any] = dict(preset=preset, data=data, meta_learner=meta_learner)
        values |= _PRESETS[preset]
        if data == "sine" and meta_learner in WARPED and preset != "smoke":
            values |= dict(clip_norm=1.0, skip_diverged=True)
        if data != "sine":
            values |= _CHARACTERS | _CHARACTERS_PRESETS.get(preset, {})
        if meta_learner not in WARPED:
            values |= dict(warp_units=None, second_order=None)
        if meta_learner in UNTRAINED:
            values |= dict(meta_steps=0)
        return cls(**{**values, **overrides})

    @property
    def warped(self) -> bool:
        """Whether the method has warp layers."""
        return self.meta_learner in WARPED

    @property
    def inner_steps(self) -> int:
        """Adaptation steps on all parts."""
        return self.sub_tasks * self.sub_task_steps

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in _COUNTS:
            self._at_least(name, 1)
        if sorted(self.shuffled) != list(range(self.sub_tasks)):
            self._refuse("shuffled", f"give each of 0 to {self.sub_tasks - 1} once")
        self._check_learner()
        if self.meta_learner in UNTRAINED and self.meta_steps:
            remedy = f"--meta-learner {self.meta_learner} has no meta-training; leave it out"
            self._refuse("meta_steps", remedy)

    def _check_learner(self) -> None:
        sine = self.data == "sine"
        needed = {"units": sine, "filters": not sine, "ways": not sine}
        needed |= {"warp_units": sine and self.warped, "second_order": self.warped}
        for name, is_needed in needed.items():
            value = getattr(self, name)
            if is_needed and value is None:
                self._refuse(
                    name, f"--data {self.data} --meta-learner {self.meta_learner} needs it"
                )
            if not is_needed and value is not None:
                self._refuse(name, f"not for --data {self.data} --meta-learner {self.meta_learner}")
            if is_needed and isinstance(value, int):
                self._at_least(name, 1)


_COUNTS = (
    "sub_tasks",
    "sub_task_steps",
    "batch_size",
    "tasks",
    "test_tasks",
    "evaluation_queries",
)

_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(
        units=16,
        warp_units=8,
        sub_task_steps=2,
        tasks=2,
        test_tasks=4,
        evaluation_queries=5,
        meta_steps=4,
        epoch_steps=2,
        evaluate_every=1,
    ),
    "laptop": dict(meta_steps=1000, epoch_steps=50, evaluate_every=4, execution_steps=10),
    "paper": dict(meta_steps=20_000, epoch_steps=500, evaluate_every=4, execution_steps=10),
}
_CHARACTERS: dict[str, Any] = dict(
    units=None,
    warp_units=None,
    filters=32,
    ways=4,
    batch_size=20,
    tasks=4,
    evaluation_queries=20,
    inner_rate=0.1,
    meta_steps=100,
    epoch_steps=10,
)
_CHARACTERS_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(filters=4, tasks=2, batch_size=4, meta_steps=4, epoch_steps=2),
    "paper": dict(meta_steps=2000, epoch_steps=50),
}
