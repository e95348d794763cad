"""The configuration of the few-shot experiment: fields, presets, checks."""

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from .multi_shot_config import Warp
from .run_options import RunOptions, flag

Preset = Literal["smoke", "laptop", "paper", "tiered-multi-shot"]
Data = Literal["glyphs", "omniglot", "folder", "csv", "tiered", "tfds", "cifar-fs", "fc100"]
MetaLearner = Literal[
    "warp-maml",
    "warp-reptile",
    "warp-imaml",
    "warp-leap",
    "maml",
    "fomaml",
    "reptile",
    "leap",
    "meta-sgd",
    "t-net",
    "mt-net",
    "cavia",
    "anil",
    "imaml",
    "fo-b-maml",
    "none",
]
Learner = Literal["four-block", "six-block", "resnet12"]

WARPED = ("warp-maml", "warp-reptile", "warp-imaml", "warp-leap")
IMPLICIT = ("imaml", "warp-imaml")
PROXIMAL = (*IMPLICIT, "fo-b-maml")
# Their learners are made for them, of four blocks.
OWN_LEARNER = ("t-net", "mt-net", "cavia")
CHARACTERS = ("glyphs", "omniglot")
FIXED_SIZE = (*CHARACTERS, "cifar-fs", "fc100")
NEEDS_IMAGES = ("folder", "csv", "tiered")
NEEDS_SPLITS = ("csv", "tiered", "cifar-fs", "fc100")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotConfig(RunOptions):
    """Few-shot classification: tasks of some classes, a few images of each to learn from.

    The defaults depend on `--preset`, `--data` and `--meta-learner`; those shown are the ones that
    the flags given so far lead to.
    """

    preset: Preset = "laptop"
    """Size of the run: smoke ends within a minute, laptop within fifteen on two cores, paper is
    the published setting, tiered-multi-shot that of 10 ways and 640 shots. It sets the defaults
    below; a flag given here overrides them."""
    data: Data = "glyphs"
    """Where the classes come from: characters rendered from fonts (glyphs) or of Omniglot; a
    folder of folders; images with lists train.csv, val.csv and test.csv (csv: miniImageNet);
    tieredImageNet; a set of TensorFlow Datasets, of which CIFAR-FS and FC100 are two."""
    images: Path | None = None
    """Folder of the images, for --data folder, csv and tiered (ILSVRC-12's training folder)."""
    splits: Path | None = None
    """Lists of the classes of each split: a folder (train, val, test as .json, .csv or .txt) or one
    .json file. Without it characters are cut by alphabets, others at random."""
    tfds_name: str | None = None
    """Name of the set, for --data tfds."""
    fractions: tuple[float, float, float] = (0.64, 0.16, 0.2)
    """Of the classes for training, validation and test, where there are no lists."""
    image_size: int | None = 84
    """Side of the images in pixels, for --data folder, csv, tiered and tfds; None for the size that
    they have."""
    resize: bool = True
    """Whether images of another size are resized instead of being refused, for --data folder and
    csv."""
    augment: bool = False
    """Flip, shift and recolour training images at random."""
    meta_learner: MetaLearner = "warp-maml"
    """Method; none adapts from a random initialization, without meta-training."""
    learner: Learner = "four-block"
    """Network: four blocks of convolution, six (10-way 640-shot), or a ResNet-12."""
    warp: Warp | None = "conv3x3"
    """Architecture of the warp layers; None for the methods without."""
    second_order: Literal["exact", "none", "finite_difference"] | None = "exact"
    """Second-order term of the warp objective; None for the methods without warp layers."""
    batch_norm: Literal["support", "transductive"] = "support"
    """Statistics of batch norm where a task is scored: those that adaptation gathered on the
    support set, or those of the query batch, as in MAML's own experiments."""
    filters: int | None = 32
    """Filters of each convolution of the four blocks; None for the other networks, which have their
    own."""
    downsampling: Literal["max_pool", "stride"] = "max_pool"
    """How the four blocks halve their images: by max-pooling, or by convolutions of stride 2 and a
    mean over positions at the end, as in MAML's own learner for Omniglot."""
    ways: int = 5
    """Classes of a task."""
    shots: int = 1
    """Images of each class to learn from, in meta-training."""
    evaluation_shots: int = 1
    """Images of each class to learn from, in validation and test tasks."""
    queries: int = 15
    """Images of each class for the meta loss."""
    evaluation_queries: int = 15
    """Images of each class to score on, in validation and test tasks."""
    tasks: int = 4
    """Tasks in a meta-batch."""
    validation_tasks: int = 60
    """Validation tasks in each evaluation."""
    test_tasks: int = 600
    """Test tasks."""
    batch_size: int | None = None
    """Images in the mini-batch of an adaptation step; None for the whole support set."""
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
    schedule: Literal["constant", "cosine"] = "constant"
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
    context_size: int = 100
    """Numbers in the context that each task adapts, for cavia."""

    NOT_COMPARED: ClassVar[frozenset[str]] = RunOptions.NOT_COMPARED | {"images", "splits"}
    """Folders may move; that they hold the same classes is checked by the classes."""

    def __post_init__(self) -> None:
        """Makes paths absolute, so that a run can be evaluated from anywhere."""
        for name in ("images", "splits"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, path.expanduser().absolute())

    @classmethod
    def from_preset(
        cls,
        preset: Preset = "laptop",
        data: Data | None = None,
        meta_learner: MetaLearner | None = None,
        **overrides: Any,
    ) -> Self:
        """Returns the configuration of a preset.

        Args:
            preset: Size of the run.
            data: Where the classes come from; that of the preset by default.
            meta_learner: Method; that of the preset by default.
            **overrides: Fields that differ from the preset.

        >>> FewShotConfig.from_preset("paper", "omniglot", "maml").ways
        20
        >>> FewShotConfig.from_preset("smoke", filters=4).filters
        4
        """
        tiered = preset == "tiered-multi-shot"
        data = data or ("tiered" if tiered else "glyphs")
        method = meta_learner or ("warp-leap" if tiered else "warp-maml")
        values: dict[str, Any] = dict(preset=preset, data=data, meta_learner=method)
        values |= _PRESETS[preset] | _DATA.get(data, {}) | _PRESETS_ON_DATA.get((preset, data), {})
        steps = _OUTER_STEPS.get(method, {})
        if overrides.get("outer_optimizer") in (None, steps.get("outer_optimizer")):
            values |= steps
        values |= _METHODS.get(method, {})
        if method not in WARPED:
            values |= dict(warp=None, second_order=None)
        if overrides.get("learner", values.get("learner", cls.learner)) != cls.learner:
            values |= dict(filters=None)
        return cls(**{**values, **overrides})

    @property
    def warped(self) -> bool:
        """Whether the method has warp layers of a chosen architecture."""
        return self.meta_learner in WARPED

    @property
    def reads_query_at_every_step(self) -> bool:
        """Whether meta-training looks at the query set at each inner step, not only after all."""
        return self.warped or self.meta_learner == "fo-b-maml"

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in _COUNTS:
            self._at_least(name, 1)
        self._at_least("ways", 2)
        for name in ("image_size", "batch_size", "filters"):
            if getattr(self, name) is not None:
                self._at_least(name, 1)
        for name in _RATES:
            self._finite_above_zero(name)
        if self.clip_norm is not None:
            self._finite_above_zero("clip_norm")
        for name in ("inner_momentum", "outer_momentum"):
            if not 0 <= getattr(self, name) < 1:
                self._refuse(name, "give a number from 0 up to, but not including, 1")
        self._check_data()
        self._check_images()
        self._check_method()
        self._check_unused()

    def _check_data(self) -> None:
        for name, needed, usage in (
            ("images", NEEDS_IMAGES, "--images DIR"),
            ("splits", NEEDS_SPLITS, "--splits DIR"),
            ("tfds_name", ("tfds",), "--tfds-name NAME"),
        ):
            if getattr(self, name) is None and self.data in needed:
                self._refuse("data", f"give {usage} with it{_MEANING.get((self.data, name), '')}")
        for name, used in (("images", NEEDS_IMAGES), ("tfds_name", ("tfds",))):
            if getattr(self, name) is not None and self.data not in used:
                self._refuse(name, f"is for --data {' or '.join(used)}; give that, or leave it out")
        for name in ("images", "splits"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise FileNotFoundError(
                    f"{flag(name)} {path}: is not there; give the folder"
                    f"{_MEANING.get((self.data, name), '')}"
                )

    def _check_images(self) -> None:
        if self.data in FIXED_SIZE and self.image_size is not None:
            self._refuse("image_size", f"--data {self.data} has images of one size; leave it out")
        if self.data == "tiered" and self.image_size is None:
            self._refuse("image_size", "the images of --data tiered differ in size; give one")
        if not self.resize and self.data not in ("folder", "csv"):
            raise ValueError(f"--no-resize: is for --data folder and csv, not {self.data}")
        own_split = self.data in NEEDS_SPLITS or self.data in CHARACTERS or self.splits is not None
        if self.fractions != FewShotConfig.fractions and own_split:
            self._refuse("fractions", "classes are not cut at random here; leave it out")
        if len(self.fractions) != 3 or not all(0 < part < math.inf for part in self.fractions):
            self._refuse("fractions", "give three positive numbers")

    def _check_unused(self) -> None:
        for name, methods in _ONLY_FOR.items():
            if self.meta_learner not in methods:
                self._only_default(name, f"is for --meta-learner {' or '.join(methods)}")
        if self.meta_learner == "none":
            for name in ("patience", "augment", "clip_norm", "normalize_gradient"):
                self._only_default(name, "--meta-learner none has no meta-training")

    def _only_default(self, name: str, reason: str) -> None:
        if getattr(self, name) != getattr(FewShotConfig, name):
            self._refuse(name, f"{reason}; leave it out")

    def _check_method(self) -> None:
        for name in ("warp", "second_order"):
            value = getattr(self, name)
            if self.warped and value is None:
                self._refuse(name, f"--meta-learner {self.meta_learner} needs one")
            if not self.warped and value is not None:
                remedy = f"leave it out, or use --meta-learner {' or '.join(WARPED)}"
                self._refuse(name, f"--meta-learner {self.meta_learner} has none; {remedy}")
        if self.meta_learner in OWN_LEARNER and self.learner != "four-block":
            remedy = "has a learner of its own; give --learner four-block"
            self._refuse("learner", f"--meta-learner {self.meta_learner} {remedy}")
        if (self.filters is None) == (self.learner == "four-block"):
            remedy = "give a number" if self.filters is None else "leave it out, or give None"
            self._refuse("filters", f"{remedy} for --learner {self.learner}")
        if self.meta_learner in OWN_LEARNER or self.learner != "four-block":
            self._only_default("downsampling", "is for --learner four-block of other methods")
        if self.meta_learner == "none" and self.meta_steps:
            self._refuse("meta_steps", "--meta-learner none has no meta-training; leave it out")
        if self.inner_momentum and self.meta_learner == "mt-net":
            self._refuse("inner_momentum", "--meta-learner mt-net masks plain steps; give 0")
        if self.outer_momentum and self.outer_optimizer != "sgd":
            self._refuse("outer_momentum", "give --outer-optimizer sgd with it, or 0")
        if self.clip_norm is not None and self.normalize_gradient:
            remedy = "--normalize-gradient divides by it; give --clip-norm None"
            self._refuse("clip_norm", remedy)


_COUNTS = (
    "shots",
    "evaluation_shots",
    "queries",
    "evaluation_queries",
    "tasks",
    "validation_tasks",
    "test_tasks",
    "inner_steps",
    "evaluation_steps",
    "conjugate_gradient_steps",
    "context_size",
)
_RATES = ("inner_rate", "meta_rate", "initialization_rate", "proximal_weight", "perturbation")
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "proximal_weight": PROXIMAL,
    "conjugate_gradient_steps": IMPLICIT,
    "system": IMPLICIT,
    "perturbation": ("fo-b-maml",),
    "symmetric": ("fo-b-maml",),
    "context_size": ("cavia",),
}
_MEANING = {
    ("folder", "images"): ", a folder with a folder of images for each class",
    ("csv", "images"): ", the folder of the images that the lists name",
    ("csv", "splits"): ", the folder of train.csv, val.csv and test.csv (filename,label)",
    ("tiered", "images"): ", ILSVRC-12's training folder",
    ("tiered", "splits"): ", the folder of Ren et al.'s train.csv, val.csv and test.csv",
    ("cifar-fs", "splits"): ", the folder of its published lists of classes",
    ("fc100", "splits"): ", the folder of its published lists of superclasses",
}

_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(
        filters=8,
        queries=2,
        evaluation_queries=4,
        tasks=2,
        inner_steps=2,
        evaluation_steps=2,
        validation_tasks=5,
        test_tasks=20,
        meta_steps=4,
        epoch_steps=2,
        evaluate_every=1,
    ),
    # A few hundred meta-steps want larger ones than tens of thousands do.
    "laptop": dict(
        queries=5,
        meta_steps=400,
        epoch_steps=20,
        evaluate_every=5,
        meta_rate=5e-3,
        initialization_rate=5e-3,
        schedule="cosine",
    ),
    "paper": dict(
        filters=128,
        tasks=1,
        shots=5,
        meta_steps=60_000,
        epoch_steps=500,
        evaluate_every=4,
        validation_tasks=200,
        inner_rate=0.01,
    ),
    "tiered-multi-shot": dict(
        learner="six-block",
        ways=10,
        shots=640,
        evaluation_shots=640,
        evaluation_queries=50,
        tasks=5,
        batch_size=64,
        inner_steps=100,
        evaluation_steps=640,
        inner_momentum=0.9,
        validation_tasks=10,
        test_tasks=100,
        meta_steps=2000,
        epoch_steps=50,
        evaluate_every=4,
    ),
}
_DATA: dict[str, dict[str, Any]] = {data: dict(image_size=None) for data in FIXED_SIZE}
# MAML's own settings on characters; photographs take smaller steps.
_PAPER_CHARACTERS: dict[str, Any] = dict(
    filters=64, ways=20, shots=1, queries=1, tasks=16, inner_rate=0.1, batch_norm="transductive"
)
_PRESETS_ON_DATA: dict[tuple[str, str], dict[str, Any]] = {
    ("paper", data): _PAPER_CHARACTERS for data in CHARACTERS
}
_OUTER_STEPS: dict[str, dict[str, Any]] = {
    # Steps from the initialization towards the adapted parameters, shorter and shorter.
    "reptile": dict(outer_optimizer="sgd", initialization_rate=1.0, schedule="cosine"),
    # Its gradient's smoothness grows with its norm.
    "fo-b-maml": dict(
        outer_optimizer="sgd", outer_momentum=0.9, initialization_rate=0.1, clip_norm=1.0
    ),
}
_METHODS: dict[str, dict[str, Any]] = {
    "cavia": dict(inner_rate=1.0),
    "none": dict(meta_steps=0),
}
