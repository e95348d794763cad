"""Few-shot learners on pretrained backbones."""

import math
from typing import Any, NamedTuple, get_args

import keras

from warptf.layers.class_mean_head import ClassMeanHead, Distance
from warptf.layers.film_task_embedding import FiLMTaskEmbedding
from warptf.layers.initializers import derive_seed
from warptf.layers.validation import positive_integer
from warptf.layers.warp import Warp
from warptf.layers.warp_film import WarpFiLM
from warptf.layers.warp_residual_dense import WarpResidualDense
from warptf.literals import Adapt, Adapter, Preprocessing
from warptf.models.backbone_cut import (
    cut_backbone,
    pooled_mean,
    trunk_features,
    without_pooling,
)
from warptf.models.image_preprocessing import preprocessed
from warptf.models.learner_parts import check_seed
from warptf.models.warp_architectures import glorot_uniform

_FEATURES, _CLASSIFIER = "frozen_features", "classifier"


class BackboneParts(NamedTuple):
    """The two parts of a learner on a backbone.

    Attributes:
        features: the frozen part, from images to features. All tasks share what it computes.
        classifier: the part that is learned, from features to logits.
    """

    features: keras.Model
    classifier: keras.Model


def backbone_learner(
    backbone: keras.Model,
    ways: int = 5,
    *,
    input_shape: tuple[int, int, int] = (160, 160, 3),
    preprocessing: Preprocessing = "none",
    adapt: Adapt = "head",
    adapter: Adapter = "film",
    warp: bool = True,
    train_last_block: bool = False,
    distance: Distance = "cosine",
    scale: float | None = None,
    units: int = 128,
    seed: int = 0,
) -> keras.Model:
    r"""Builds a few-shot learner on a pretrained Keras model.

    Images go through the preprocessing and the frozen backbone to features of length 1 (the mean
    over positions, where the backbone gives a map); then through an adapter, which is meta-trained
    and starts as the identity; then to a `layers.ClassMeanHead`. Before any meta-training it is
    thus the nearest-centroid classifier on the backbone's features.

    What is frozen keeps its batch-norm statistics and is computed the same for every task:
    `backbone_parts` gives it apart, so that its features need be computed only once.

    Args:
        backbone: any built functional or sequential Keras model that gives a feature vector or
            map, such as one of `keras.applications` with `include_top=False`. Its layers are
            shared, not copied, and those that stay frozen are made not trainable.
        ways: classes of a task, at most. Defaults to 5.
        input_shape: `(height, width, channels)` of the images. Defaults to `(160, 160, 3)`.
        preprocessing: what the backbone takes instead of images in [0, 1]: `"none"`, `"imagenet"`,
            `"tf"`, `"caffe"` or `"0-255"`. It becomes part of the model. Defaults to `"none"`.
        adapt: what tasks adapt: the `"head"`; `"film"`, a scale and shift of each feature, too; or
            `"last-block"`, the last three convolutions of the backbone, too. Defaults to `"head"`.
        adapter: `"film"`, a scale and shift of each feature; `"residual"`, followed by a residual
            block of two dense layers; or `"attention"`, in front of which a learned score weights
            the positions of the backbone's map in the mean. Defaults to `"film"`.
        warp: whether the adapter is warp layers; else tasks adapt it, too. Defaults to `True`.
        train_last_block: whether the last three convolutions of the backbone are not frozen but
            warp layers (task layers without `warp`). Defaults to `False`.
        distance: `"cosine"` or `"euclidean"`, see `ClassMeanHead`. Defaults to `"cosine"`.
        scale: of the logits; by default the distance's own.
        units: hidden units of the residual block. Defaults to 128.
        seed: a non-negative integer from which the adapter's initial values derive.

    Returns:
        A built `keras.Model` that maps images `[B, height, width, channels]` in [0, 1] to logits
        `[B, ways]`.

    Raises:
        TypeError: `backbone` is no functional or sequential Keras model.
        ValueError: an argument is out of range, the backbone does not take such images, or gives
            no features.

    Example:
        >>> import keras, warptf
        >>> backbone = keras.applications.MobileNetV3Small(
        ...     input_shape=(64, 64, 3), include_top=False, weights=None)
        >>> model = warptf.models.backbone_learner(
        ...     backbone, ways=5, input_shape=(64, 64, 3), preprocessing="0-255")
        >>> parts = warptf.partition(model)
        >>> [tuple(v.shape) for v in parts.task_variables]   # the head
        [(576, 5)]

    Reference:
        Snell et al., arXiv 1703.05175; Triantafillou et al., arXiv 1903.03096 (Proto-MAML); Chen
        et al., A Closer Look at Few-shot Classification, arXiv 1904.04232.
    """
    for name, value, choices in (
        ("adapt", adapt, get_args(Adapt)),
        ("adapter", adapter, get_args(Adapter)),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}.")
    check_seed(seed)
    positive_integer("units", units)
    if adapter == "attention":
        backbone = without_pooling(backbone)
    in_task = adapt == "last-block" or (train_last_block and not warp)
    trunk, block = cut_backbone(backbone, in_task or train_last_block)
    images = keras.Input(tuple(input_shape), name="images")
    x = trunk_features(trunk, preprocessed(images, preprocessing), input_shape)
    pools = block is not None or adapter == "attention"
    features = keras.Model(images, x if pools else _vector(x), name=_FEATURES)
    features.trainable = False
    x = inputs = keras.Input(features.output_shape[1:], name="features")
    if block is not None:
        x = (block if in_task else Warp(block, name="warp_last_block"))(x)
    if adapter == "attention":
        x = _attended(x, warp)
    if pools:
        x = _vector(x)
    x = _adapted(_of_ordinary_size(x), adapter, warp, units, seed)
    if adapt == "film":
        x = FiLMTaskEmbedding(name="task_film")(x)
    logits = ClassMeanHead(ways, distance, scale, name="logits")(x)
    classifier = keras.Model(inputs, logits, name=_CLASSIFIER)
    return join_backbone(BackboneParts(features, classifier))


def backbone_parts(model: keras.Model) -> BackboneParts:
    """Returns the frozen and the learned part of what `backbone_learner` built, not copied.

    Args:
        model: the learner.

    Raises:
        ValueError: it is no such model.
    """
    if not is_backbone_learner(model):
        raise ValueError(f"model {model.name!r} was not built by backbone_learner.")
    return BackboneParts(model.get_layer(_FEATURES), model.get_layer(_CLASSIFIER))


def is_backbone_learner(model: keras.Model) -> bool:
    """Returns whether a model was built by `backbone_learner`.

    Args:
        model: any Keras model.
    """
    return {_FEATURES, _CLASSIFIER} <= {layer.name for layer in model.layers}


def join_backbone(parts: BackboneParts) -> keras.Model:
    """Returns the learner that `backbone_parts` gives the parts of.

    Args:
        parts: the frozen and the learned part.
    """
    images = keras.Input(parts.features.input_shape[1:], name="images")
    logits = parts.classifier(parts.features(images))
    return keras.Model(images, logits, name="backbone_learner")


def _vector(x: Any) -> Any:
    """Returns features `[B, D]` of length 1."""
    return keras.layers.UnitNormalization(name="unit")(pooled_mean(x))


def _attended(x: Any, warp: bool) -> Any:
    """Returns features `[B, D]`: the mean over positions, weighted by softmax(w·x), w = 0 first."""
    x = keras.layers.Reshape((-1, x.shape[-1]), name="positions")(x)
    score = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="adapter_score")
    unit = keras.layers.UnitNormalization(name="unit_positions")(x)
    scores = (Warp(score) if warp else score)(_of_ordinary_size(unit, "ordinary_positions"))
    weights = keras.layers.Softmax(axis=1, name="attention")(scores)
    return keras.layers.Flatten(name="attended")(keras.layers.Dot(axes=1)([weights, x]))


def _of_ordinary_size(x: Any, name: str = "ordinary_size") -> Any:
    """Returns features `[B, D]` of length 1 with entries of about 1, as meta-steps expect them."""
    return keras.layers.Rescaling(math.sqrt(x.shape[-1]), name=name)(x)


def _adapted(x: Any, adapter: Adapter, warp: bool, units: int, seed: int) -> Any:
    """Returns what a new adapter, so far the identity, makes of features `[B, D]`."""
    film = WarpFiLM(name="adapter_film") if warp else FiLMTaskEmbedding(False, name="adapter_film")
    x = film(x)
    if adapter != "residual":
        return x
    kernel = glorot_uniform(derive_seed(seed, 2, 0))
    if warp:
        residual = WarpResidualDense(units, kernel_initializer=kernel, name="adapter_residual")
        moved = residual(x)
        residual.output_map.kernel.assign(keras.ops.zeros_like(residual.output_map.kernel))
        return moved
    hidden = keras.layers.Dense(
        units, activation="tanh", kernel_initializer=kernel, name="adapter_hidden"
    )(x)
    back = keras.layers.Dense(x.shape[-1], kernel_initializer="zeros", name="adapter_output")
    return keras.layers.Add(name="adapter_residual")([x, back(hidden)])
