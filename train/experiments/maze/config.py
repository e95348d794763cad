"""The configuration of the maze experiment: fields, presets, checks."""

import dataclasses
import math
from typing import Any, ClassVar, Literal, Self

from ...engine.run_options import Preset, RunOptions

Data = Literal["maze"]
MetaLearner = Literal["warp-rnn", "rnn", "hyper-rnn", "t-net-rnn", "hebb-rnn", "retro-hebb-rnn"]
WARPED = ("warp-rnn", "t-net-rnn")
MODULATED = ("warp-rnn", "hyper-rnn")
PLASTIC = ("hebb-rnn", "retro-hebb-rnn")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MazeConfig(RunOptions):
    """Maze navigation: find the goal again and again, by an agent that learns within an episode.

    The defaults depend on `--preset` and `--meta-learner`; those shown are the ones that the flags
    given so far lead to. A meta-step is one update, from one batch of episodes.
    """

    preset: Preset = "laptop"
    """Size of the run: smoke ends within a minute, laptop within fifteen on two cores, paper is
    the published setting. It sets the defaults below; a flag given here overrides them."""
    data: Data = "maze"
    """The tasks: goals in a maze, one for each episode."""
    meta_learner: MetaLearner = "warp-rnn"
    """The agent's memory: a recurrent cell that an LSTM warp modulates (warp-rnn), the same trained
    at every step (hyper-rnn), a plain one (rnn), one with linear warps (t-net-rnn), and plastic
    ones with simple (hebb-rnn) and retroactive modulation (retro-hebb-rnn)."""
    second_order: Literal["none", "finite_difference"] | None = "none"
    """Second-order term of the warp objective; None for memories without warp parameters."""
    warp_update_interval: int | None = 30
    """Updates of the task parameters between two of the warp parameters; None without those."""
    size: int = 13
    """Cells on a side of the maze, the outer wall included."""
    wall_penalty: float = 0.0
    """What a move into a wall costs."""
    episode_steps: int = 200
    """Steps of an episode."""
    episodes: int = 30
    """Episodes of an update."""
    test_episodes: int = 300
    """Validation episodes, and test episodes."""
    units: int = 100
    """Units of the memory."""
    lstm_units: int | None = 100
    """Units of the LSTM, for warp-rnn and hyper-rnn; None for others."""
    discount: float = 0.9
    """Discount of later rewards in returns."""
    value_weight: float = 0.1
    """Weight of the value's squared error in the loss."""
    concentration_weight: float = 0.03
    """Weight of the sum of squared probabilities in the loss."""
    task_rate: float = 1e-3
    """Rate of Adam for the task parameters."""
    meta_rate: float | None = 1e-3
    """Rate of Adam for the warp parameters; None without those."""
    clip_norm: float | None = None
    """Norm to which the gradients of Adam's steps are clipped."""
    segment_steps: int | None = None
    """Steps whose gradients of the weights are computed at once; None for all."""
    execution_steps: int = 1
    """Updates inside one compiled call."""

    EXPERIMENT: ClassVar[str] = "maze"
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = ("preset", "meta_learner")

    @classmethod
    def from_preset(
        cls, preset: Preset = "laptop", meta_learner: MetaLearner = "warp-rnn", **overrides: Any
    ) -> Self:
        """Returns the configuration of a preset.

        Args:
            preset: Size of the run.
            meta_learner: The agent's memory.
            **overrides: Fields that differ from the preset.

        >>> MazeConfig.from_preset("paper").meta_steps
        200000
        """
        values: dict[str, Any] = dict(preset=preset, meta_learner=meta_learner)
        values |= _PRESETS[preset]
        if meta_learner not in WARPED:
            values |= dict(second_order=None, warp_update_interval=None, meta_rate=None)
        if meta_learner not in MODULATED:
            values |= dict(lstm_units=None)
        if meta_learner in PLASTIC and preset != "smoke":
            # A trace for each pair of units and episode: those of many steps fit into no cache.
            values |= dict(segment_steps=1, **_PLASTIC.get(preset, {}))
        return cls(**{**values, **overrides})

    META_BATCH: ClassVar[str] = "episodes"

    @property
    def shares_equally(self) -> bool:
        """Whether all devices must have the same number of episodes."""
        return True

    @property
    def warped(self) -> bool:
        """Whether the memory has warp parameters."""
        return self.meta_learner in WARPED

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in _COUNTS:
            self._at_least(name, 1)
        if self.size < 5 or self.size % 2 == 0:
            self._refuse("size", "give an odd number of at least 5")
        for name in ("wall_penalty", "value_weight", "concentration_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                self._refuse(name, "give a finite number of at least 0")
        if not 0 <= self.discount <= 1:
            self._refuse("discount", "give a number from 0 to 1")
        for name in ("task_rate", *(["clip_norm"] if self.clip_norm is not None else [])):
            self._finite_above_zero(name)
        self._check_memory()
        for name in ("segment_steps", "execution_steps"):
            total = "episode_steps" if name == "segment_steps" else "epoch_steps"
            if getattr(self, name) is not None and getattr(self, total) % getattr(self, name):
                self._refuse(name, f"give a divisor of --{total.replace('_', '-')}")
        if self.test_episodes % self.episodes:
            self._refuse("test_episodes", f"give a multiple of --episodes {self.episodes}")
        if self.jit == "tasks":
            self._refuse("jit", "episodes are lived side by side; give meta-step or none")
        if self.vectorize_tasks != "auto":
            self._refuse("vectorize_tasks", "episodes are lived side by side anyway; give auto")

    def _check_memory(self) -> None:
        needed = dict.fromkeys(("second_order", "warp_update_interval", "meta_rate"), self.warped)
        needed |= {"lstm_units": self.meta_learner in MODULATED}
        for name, is_needed in needed.items():
            value = getattr(self, name)
            if (value is not None) != is_needed:
                remedy = "needs it" if is_needed else "has none; leave it out"
                self._refuse(name, f"--meta-learner {self.meta_learner} {remedy}")
            if is_needed and isinstance(value, int):
                self._at_least(name, 1)
        if self.warped:
            self._finite_above_zero("meta_rate")
        if self.segment_steps is not None:
            self._at_least("segment_steps", 1)


_COUNTS = ("episode_steps", "episodes", "test_episodes", "units", "execution_steps")

_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(
        size=7,
        episode_steps=20,
        episodes=6,
        test_episodes=12,
        units=8,
        lstm_units=8,
        warp_update_interval=2,
        meta_steps=6,
        epoch_steps=3,
        evaluate_every=1,
    ),
    "laptop": dict(
        meta_steps=4000, epoch_steps=100, evaluate_every=4, execution_steps=10, jit="meta-step"
    ),
    "paper": dict(
        meta_steps=200_000, epoch_steps=1000, evaluate_every=5, execution_steps=10, jit="meta-step"
    ),
}
_PLASTIC: dict[str, dict[str, Any]] = {"laptop": dict(meta_steps=800)}
