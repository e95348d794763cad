"""The options of learners on pretrained backbones, and of heads that start at class means."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from warptf.literals import Adapt, Adapter, Preprocessing

from ...engine.method_options import MethodOptions

Head = Literal["dense", "class-means"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneOptions(MethodOptions):
    """Options of few-shot learners on a pretrained backbone, and of the head."""

    backbone: str | None = None
    """For --learner backbone: a .keras file, or the name of a model of keras.applications, such as
    MobileNetV3Small."""
    backbone_weights: str | None = None
    """Of a model of keras.applications: imagenet (the default; downloads them once), none for
    random ones, or a file."""
    backbone_preprocessing: Preprocessing | None = None
    """What the backbone takes instead of RGB in [0, 1]: none; imagenet, minus ImageNet's mean and
    divided by its deviation; tf, in [-1, 1]; caffe; 0-255. By default that of the model of
    keras.applications, and none for a file. It becomes part of the learner."""
    adapt: Adapt | None = None
    """What tasks adapt of a learner on a backbone: the head; film, a scale and shift of features
    too; or last-block, the backbone's last three convolutions too. The rest is frozen."""
    adapter: Adapter | None = None
    """What is meta-trained between backbone and head: film, a scale and shift of each feature;
    residual, a block of two dense layers after it; or attention, learned weights of the backbone's
    positions before it. Warp layers where the method has some, else adapted by the tasks too."""
    train_last_block: bool = False
    """Meta-train the backbone's last three convolutions, too, as part of the adapter."""
    centre: bool = False
    """Start the adapter at minus the mean feature of the training classes, instead of 0."""
    head: Head = "dense"
    """Last layer: dense, whose start is meta-learned; or class-means, which starts at the support
    set's class means, so that adaptation starts as the nearest-centroid classifier."""
    distance: Literal["cosine", "euclidean"] = "cosine"
    """What --head class-means classifies by."""
    head_scale: float | None = None
    """Factor of the logits of --head class-means: 10 for cosine and 1 for euclidean if None."""

    ADDED: ClassVar[Mapping[str, Any]] = {
        **MethodOptions.ADDED,
        "backbone": None,
        "backbone_weights": None,
        "backbone_preprocessing": None,
        "adapt": None,
        "adapter": None,
        "train_last_block": False,
        "centre": False,
        "head": "dense",
        "distance": "cosine",
        "head_scale": None,
    }

    def _check_backbone(self, learner: str) -> None:
        """Checks what belongs to a learner on a backbone, and that nothing else has it."""
        if learner == "backbone":
            if self.backbone is None:
                raise ValueError("--learner backbone: give --backbone FILE.keras or a name with it")
            for name in ("adapt", "adapter"):
                if getattr(self, name) is None:
                    self._refuse(name, "--learner backbone needs one")
            if self.head != "class-means":
                self._refuse("head", "--learner backbone has class-means")
            if self.backbone_weights is not None and is_file(self.backbone):
                self._refuse("backbone_weights", "a .keras file has its own; leave it out")
            return
        for name in ("backbone", "backbone_weights", "backbone_preprocessing", "adapt", "adapter"):
            if getattr(self, name) is not None:
                self._refuse(name, "is for --learner backbone; give that, or leave it out")
        for name in ("train_last_block", "centre"):
            if getattr(self, name):
                self._refuse(name, "is for --learner backbone; give that, or leave it out")

    def _check_head(self, own_learner: bool) -> None:
        if self.head == "class-means":
            if own_learner:
                self._refuse("head", f"--meta-learner {self.meta_learner} has its own; give dense")
            if self.head_scale is not None:
                self._finite_above_zero("head_scale")
            return
        if not self.method.inner_steps:
            self._refuse("head", f"--meta-learner {self.meta_learner} needs class-means")
        for name in ("distance", "head_scale"):
            self._only_default(name, "is for --head class-means")


def is_file(backbone: str) -> bool:
    """Whether a backbone is given by a file, and not by the name of a model of Keras.

    >>> is_file("models/mine.keras"), is_file("MobileNetV3Small")
    (True, False)
    """
    return backbone.endswith((".keras", ".h5")) or "/" in backbone or "\\" in backbone
