"""The configuration of the multi-shot experiment: fields, presets, checks."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ... import methods, sources
from ...engine.run_options import Preset, RunOptions

if TYPE_CHECKING:
    Data = str
    MetaLearner = str
else:
    Data = Literal[sources.names("multi-shot")]
    MetaLearner = Literal[methods.names("multi-shot")]
Warp = Literal[
    "scale",
    "conv1x1",
    "conv3x3",
    "conv-relu",
    "conv-bn",
    "conv-bn-relu",
    "conv-bn-res-relu",
    "two-layer",
    "two-layer-relu",
    "two-layer-film",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiShotConfig(RunOptions):
    """Multi-shot classification: each alphabet is one task, learned in many steps.

    The defaults depend on `--preset`, `--data` and `--meta-learner`; those shown are the ones that
    the flags given so far lead to.
    """

    preset: Preset = "laptop"
    """Size of the run: smoke ends within a minute, laptop within fifteen on two cores, paper is
    the published setting. It sets the defaults below; a flag given here overrides them."""
    data: Data = "glyphs"
    """Data set: glyphs is rendered from fonts that matplotlib ships, omniglot is downloaded or
    prepared with `warptf data prepare`."""
    meta_learner: MetaLearner = "warp-leap"
    """Method; none trains from a random initialization, without meta-training."""
    warp: Warp | None = "conv3x3"
    """Warp layer after every convolutional block; None for the methods without warp layers."""
    algorithm: Literal["offline", "online"] | None = "offline"
    """Meta-training algorithm of the warp layers; None for the methods without."""
    second_order: Literal["exact", "none", "finite_difference"] | None = "exact"
    """Second-order term of the warp objective; None for the methods without warp layers."""
    replay_batch_size: int = 1
    """Stored steps behind one update of the warp layers, in the offline algorithm."""
    replay_epochs: int = 1
    """Passes over the stored steps of a meta-batch, in the offline algorithm."""
    replay_storage: Literal["auto", "device", "host", "disk"] = "auto"
    """Where the offline algorithm stores the steps of a meta-batch."""
    learned_rate: bool = False
    """Meta-learn one inner rate and one momentum too, starting from --inner-rate and 0."""
    filters: int = 32
    """Filters of each convolution of the learner."""
    ways: int = 20
    """Characters drawn from each alphabet, the classes of a task."""
    train_alphabets: int = 25
    """Alphabets to meta-train on."""
    tasks: int = 5
    """Tasks in a meta-batch."""
    inner_steps: int = 100
    """Adaptation steps of each task in meta-training."""
    evaluation_steps: int = 100
    """Adaptation steps of each held-out task."""
    batch_size: int = 20
    """Images in the mini-batch of an adaptation step."""
    meta_steps: int = 60
    """Updates of the initialization; offline, each also replays its meta-batch once."""
    inner_rate: float = 0.1
    """Rate of the adaptation steps."""
    meta_rate: float = 0.1
    """Rate of the outer gradient descent on the warp layers."""
    initialization_rate: float = 0.1
    """Rate of the outer gradient descent on the initialization."""
    rate_rate: float = 0.001
    """Rate of the outer gradient descent on a learned inner rate and momentum; their gradient is
    clipped at the same value."""
    evaluate_every: int = 4
    """Epochs between two evaluations on five validation alphabets; 0 for none in training."""

    EXPERIMENT: ClassVar[str] = "multi-shot"
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = ("preset", "data", "meta_learner", "algorithm")

    @classmethod
    def from_preset(
        cls,
        preset: Preset = "laptop",
        data: Data = "glyphs",
        meta_learner: MetaLearner = "warp-leap",
        **overrides: Any,
    ) -> Self:
        """Returns the configuration of a preset.

        Args:
            preset: Size of the run.
            data: Data set.
            meta_learner: Method.
            **overrides: Fields that differ from the preset.

        >>> MultiShotConfig.from_preset("paper", "omniglot", "maml").inner_steps
        5
        >>> MultiShotConfig.from_preset("smoke", filters=4).filters
        4
        """
        values: dict[str, Any] = dict(preset=preset, data=data, meta_learner=meta_learner)
        values |= _PRESETS.get((preset, data)) or _PRESETS.get((preset, None), {})
        method = methods.find(meta_learner)
        if not method.warped:
            values |= dict(warp=None, algorithm=None, second_order=None)
        if not method.meta_trained:
            values |= dict(meta_steps=0)
        values |= _META_LEARNERS.get(meta_learner, {})
        if meta_learner == "none":
            # Table 1 of the paper gives training from scratch a larger batch and rate.
            values |= dict(batch_size=10 * values.get("batch_size", cls.batch_size))
        if overrides.get("algorithm") == "online":
            # The paper's 0.001, there for a sum over 20 tasks and 100 steps, here for their mean.
            values |= dict(meta_rate=2.0)
        return cls(**{**values, **overrides})

    @property
    def method(self) -> methods.Method:
        """What the method is composed of, and what applies to it."""
        return methods.find(self.meta_learner)

    @property
    def warped(self) -> bool:
        """Whether the method has warp layers."""
        return self.method.warped

    @property
    def accumulates(self) -> bool:
        """Whether gradients can be gathered over the parts of a meta-batch."""
        return self.algorithm != "offline" and self.meta_learner != "finetune"

    @property
    def shares_equally(self) -> bool:
        """Whether all devices must have the same number of tasks, as what is stored on them."""
        return self.algorithm == "offline" or super().shares_equally

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in ("filters", "train_alphabets", "tasks", "batch_size", "inner_steps"):
            self._at_least(name, 1)
        for name in ("evaluation_steps", "ways"):
            self._at_least(name, 2)
        for name in ("inner_rate", "meta_rate", "initialization_rate", "rate_rate"):
            self._finite_above_zero(name)
        self._check_method()
        self._check_replay()

    def _check_method(self) -> None:
        for name in ("warp", "algorithm", "second_order"):
            value = getattr(self, name)
            if self.warped and value is None:
                self._refuse(name, f"--meta-learner {self.meta_learner} needs one")
            if not self.warped and value is not None:
                self._refuse(
                    name,
                    f"--meta-learner {self.meta_learner} has no warp layers; leave it out, or "
                    f"use --meta-learner warp-leap",
                )
        if self.meta_steps and not self.method.meta_trained:
            remedy = f"--meta-learner {self.meta_learner} has no meta-training; leave it out"
            self._refuse("meta_steps", remedy)
        if self.learned_rate and not self.warped:
            raise ValueError(
                f"--learned-rate: --meta-learner {self.meta_learner} has no objective that moves "
                f"a rate; use --meta-learner warp-leap"
            )

    def _check_replay(self) -> None:
        for name in ("replay_batch_size", "replay_epochs", "replay_storage"):
            default = getattr(MultiShotConfig, name)
            if self.algorithm != "offline" and getattr(self, name) != default:
                self._refuse(name, "only --algorithm offline replays; leave it out")
        for name in ("replay_batch_size", "replay_epochs"):
            self._at_least(name, 1)
        stored = self.tasks * self.inner_steps
        if stored % self.replay_batch_size:
            self._refuse(
                "replay_batch_size",
                f"give a divisor of the {stored} steps that --tasks times --inner-steps store",
            )


_SMOKE = dict(
    filters=8,
    train_alphabets=5,
    tasks=2,
    inner_steps=10,
    evaluation_steps=10,
    meta_steps=4,
    epoch_steps=2,
    evaluate_every=1,
)
_PAPER = dict(filters=64, tasks=20, meta_steps=1000, epoch_steps=10, evaluate_every=5)
# Without its second-order term a replayed step takes a third of the time, so that the same minutes
# hold more than twice as many meta-steps.
_LAPTOP: dict[str, Any] = dict(second_order="none", epoch_steps=4)
_PRESETS: dict[tuple[str, str | None], dict[str, Any]] = {
    ("smoke", None): _SMOKE,
    ("laptop", "glyphs"): _LAPTOP | dict(train_alphabets=15, meta_steps=20, evaluate_every=2),
    ("laptop", "omniglot"): _LAPTOP | dict(meta_steps=32, evaluate_every=4),
    ("paper", None): _PAPER,
    ("paper", "glyphs"): _PAPER | dict(train_alphabets=15),
}
_META_LEARNERS: dict[str, dict[str, Any]] = {
    "fomaml": dict(initialization_rate=0.5),
    "maml": dict(initialization_rate=0.5, inner_steps=5),
    "none": dict(inner_rate=1.0),
}
