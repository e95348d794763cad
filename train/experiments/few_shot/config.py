"""The configuration of the few-shot experiment: fields, presets, checks."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ... import methods, sources
from ...engine.method_options import outer_step_defaults
from ...engine.run_options import flag
from ..multi_shot.config import Warp
from .backbone_options import BackboneOptions, is_file
from .presets import (
    BACKBONE,
    PRESETS,
    PRESETS_ON_CHARACTERS,
)

Preset = Literal["smoke", "laptop", "paper", "tiered-multi-shot"]
if TYPE_CHECKING:
    Data = str
    MetaLearner = str
else:
    Data = Literal[sources.names("few-shot")]
    MetaLearner = Literal[methods.names("few-shot")]
Learner = Literal["four-block", "six-block", "resnet12", "backbone"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotConfig(BackboneOptions):
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
    hold_out: Literal["classes", "images"] = "classes"
    """What validation and test tasks have for themselves: classes; or, where a folder has too few,
    images of the same classes."""
    image_size: int | None = 84
    """Side of the images in pixels, for --data folder, csv, tiered and tfds; None for the size that
    they have."""
    resize: bool = True
    """Whether images of another size are resized instead of being refused, for --data folder and
    csv."""
    max_pixels: int = 89_478_485
    """Images of more pixels are refused before they are decoded, for --data folder, csv and
    tiered."""
    augment: bool = False
    """Flip, shift and recolour training images at random."""
    meta_learner: MetaLearner = "warp-maml"
    """Method; proto-net is prototypical networks. Without meta-training, none adapts from a random
    initialization, and centroid classifies by the nearest class mean of the untrained features."""
    learner: Learner = "four-block"
    """Network: four blocks of convolution, six (10-way 640-shot), a ResNet-12, or a pretrained
    backbone."""
    warp: Warp | None = "conv3x3"
    """Architecture of the warp layers; None for the methods without."""
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
    evaluation_ways: int | None = None
    """Classes of a validation or test task, with --head class-means; those of --ways if None."""
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
    context_size: int = 100
    """Numbers in the context that each task adapts, for cavia."""

    EXPERIMENT: ClassVar[str] = "few-shot"
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = (
        "preset",
        "data",
        "meta_learner",
        "learner",
        "outer_optimizer",
    )
    ADDED: ClassVar[dict[str, Any]] = {
        **BackboneOptions.ADDED,
        "evaluation_ways": None,
        "hold_out": "classes",
        "max_pixels": 89_478_485,
    }
    NOT_COMPARED: ClassVar[frozenset[str]] = BackboneOptions.NOT_COMPARED | {"images", "splits"}
    """Folders may move; that they hold the same classes is checked by the classes."""

    def __post_init__(self) -> None:
        """Makes paths absolute, so that a run can be evaluated from anywhere."""
        for name in ("images", "splits"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, path.expanduser().absolute())
        if self.backbone is not None and is_file(self.backbone):
            object.__setattr__(self, "backbone", str(Path(self.backbone).expanduser().absolute()))

    @property
    def source(self) -> sources.Source:
        """Where the classes come from."""
        return sources.find(self.data)

    @property
    def test_ways(self) -> int:
        """Classes of a validation or test task."""
        return self.ways if self.evaluation_ways is None else self.evaluation_ways

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
        name = meta_learner or ("warp-leap" if tiered else "warp-maml")
        method = methods.find(name)
        values: dict[str, Any] = dict(preset=preset, data=data, meta_learner=name)
        values |= PRESETS[preset]
        source = sources.find(data)
        if source.one_size:
            values |= dict(image_size=None)
        if source.characters:
            values |= PRESETS_ON_CHARACTERS.get(preset, {})
        values |= outer_step_defaults(name, overrides.get("outer_optimizer"))
        values |= method.defaults
        if not method.meta_trained:
            values |= dict(meta_steps=0)
        if not method.warped:
            values |= dict(warp=None, second_order=None)
        learner = overrides.get("learner", values.get("learner", cls.learner))
        if learner != cls.learner:
            values |= dict(filters=None)
        if learner == "backbone":
            values |= BACKBONE
        if not method.inner_steps:
            values |= dict(head="class-means", inner_steps=0, evaluation_steps=0, batch_size=None)
        if not (method.inner_steps or method.meta_trained):
            values |= dict(centre=False)
        return cls(**{**values, **overrides})

    def validate(self) -> None:
        """Checks the fields, alone and together, before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        super().validate()
        for name in _COUNTS:
            self._at_least(name, 1)
        self._at_least("ways", 2)
        for name in ("image_size", "batch_size", "filters", "evaluation_ways"):
            if getattr(self, name) is not None:
                self._at_least(name, 1)
        self._check_data()
        self._check_images()
        self._check_method()
        if not self.method.inner_steps and self.batch_size is not None:
            self._refuse("batch_size", f"--meta-learner {self.meta_learner} takes no steps")
        if not self.method.meta_trained:
            self._only_default(
                "augment", f"--meta-learner {self.meta_learner} has no meta-training"
            )

    def _check_data(self) -> None:
        source = self.source
        meanings = {
            name: f", {meaning}" if meaning else ""
            for name, meaning in (("images", source.images), ("splits", source.splits))
        }
        for name, needed, usage in (
            ("images", source.images, "--images DIR"),
            ("splits", source.splits, "--splits DIR"),
            ("tfds_name", source.named, "--tfds-name NAME"),
        ):
            if getattr(self, name) is None and needed:
                self._refuse("data", f"give {usage} with it{meanings.get(name, '')}")
        for name, argument in (("images", "images"), ("tfds_name", "named")):
            used = sources.needing(argument)
            if getattr(self, name) is not None and self.data not in used:
                self._refuse(name, f"is for --data {' or '.join(used)}; give that, or leave it out")
        for name in ("images", "splits"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise FileNotFoundError(
                    f"{flag(name)} {path}: is not there; give the folder{meanings[name]}"
                )

    def _check_images(self) -> None:
        source = self.source
        if source.one_size and self.image_size is not None:
            self._refuse("image_size", f"--data {self.data} has images of one size; leave it out")
        if source.sizes_differ and self.image_size is None:
            self._refuse("image_size", f"the images of --data {self.data} differ in size; give one")
        if not self.resize and not source.resizes:
            resizing = " and ".join(sources.needing("resizes"))
            raise ValueError(f"--no-resize: is for --data {resizing}, not {self.data}")
        self._at_least("max_pixels", 1)
        if source.images is None:
            self._only_default("max_pixels", f"--data {self.data} has no files of images")
        own_split = source.has_split or self.splits is not None
        if self.hold_out == "images" and (not source.few_classes or self.splits is not None):
            holding = " or ".join(sources.needing("few_classes"))
            self._refuse("hold_out", f"is for --data {holding} without --splits; give classes")
        if self.fractions != FewShotConfig.fractions and own_split:
            self._refuse("fractions", "classes are not cut at random here; leave it out")
        if len(self.fractions) != 3 or not all(0 < part < math.inf for part in self.fractions):
            self._refuse("fractions", "give three positive numbers")

    def _check_method(self) -> None:
        if self.learner != "backbone":
            self._check_warp("warp")
        self._check_warp("second_order")
        self._check_backbone(self.learner)
        self._check_head(self.method.model is not None)
        if self.evaluation_ways not in (None, self.ways) and self.head != "class-means":
            self._refuse("evaluation_ways", "--head dense has --ways classes; give class-means")
        if self.learner == "backbone":
            if self.warp is not None:
                self._refuse("warp", "--learner backbone has --adapter; give None")
            if self.augment:
                self._refuse("augment", "features of a frozen backbone are computed once; leave it")
        if self.method.model is not None and self.learner != "four-block":
            remedy = "has a learner of its own; give --learner four-block"
            self._refuse("learner", f"--meta-learner {self.meta_learner} {remedy}")
        if (self.filters is None) == (self.learner == "four-block"):
            remedy = "give a number" if self.filters is None else "leave it out, or give None"
            self._refuse("filters", f"{remedy} for --learner {self.learner}")
        if self.method.model is not None or self.learner != "four-block":
            self._only_default("downsampling", "is for --learner four-block of other methods")
        if self.inner_momentum and self.method.inner_optimizer == "MaskedSGD":
            remedy = f"--meta-learner {self.meta_learner} masks plain steps; give 0"
            self._refuse("inner_momentum", remedy)


_COUNTS = (
    "shots",
    "evaluation_shots",
    "queries",
    "evaluation_queries",
    "tasks",
    "validation_tasks",
    "test_tasks",
    "context_size",
)
