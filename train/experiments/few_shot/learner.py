"""The learners of the few-shot experiment, one for each method."""

from typing import Any

import keras
import numpy as np

import warptf
from warptf import metrics, models
from warptf.models.backbone_learner import backbone_parts, is_backbone_learner
from warptf.models.learner_parts import FEW_SHOT_MOMENTUM, MULTI_SHOT_MOMENTUM
from warptf.partition import iterate_layers
from warptf.tasks import FewShot

from ...engine import composition
from ...engine.flag_names import naming_flags
from .backbone_model import backbone_model
from .config import FewShotConfig
from .feature_tasks import FeatureTasks


def build_learner(config: FewShotConfig, image_shape: tuple[int, int, int]) -> Any:
    """Returns the compiled meta-learner of a configuration.

    Args:
        config: A valid configuration.
        image_shape: `(height, width, channels)` of the images.

    >>> config = FewShotConfig.from_preset("smoke", meta_learner="cavia")
    >>> learner = build_learner(config, (28, 28, 1))
    >>> sum(v.shape[0] for v in learner.partition.context_variables)
    100
    """
    # Characters have one size, for which not every network is made.
    fixed = config.image_size is None
    size = f"--learner {config.learner}: the images" if fixed else "image_size"
    with naming_flags(config, input_shape=size):
        model = _model(config, image_shape)
    _set_momentum(model, FEW_SHOT_MOMENTUM if config.batch_size is None else MULTI_SHOT_MOMENTUM)
    if config.head == "class-means":
        model = _with_class_means(model, config)
    if config.method.head_only:
        model = warptf.designate(model, warp=_is_body)
    return _compiled(config, model)


def build_on_features(config: FewShotConfig, tasks: FeatureTasks) -> Any:
    """Returns the compiled meta-learner of what is learned behind a frozen backbone.

    Args:
        config: A valid configuration with `--learner backbone`.
        tasks: Tasks of the backbone's features.
    """
    ways = max(config.ways, config.test_ways)
    classifier = backbone_parts(backbone_model(config, tasks.pixels, ways)).classifier
    if config.centre:
        film = classifier.get_layer("adapter_film")
        before = keras.Model(classifier.inputs, film.input)
        features = before.predict(tasks.training_features(), verbose=0)
        film.beta.assign(-np.mean(features, axis=0))
    return _compiled(config, classifier)


def scoring_learner(learner: Any, tasks: FewShot) -> Any:
    """Returns a learner for the tasks at hand: on features, and for as many classes as they have.

    Args:
        learner: A learner, from images or from features on.
        tasks: The tasks it is to be scored on.
    """
    model = learner.model
    if isinstance(tasks, FeatureTasks) and is_backbone_learner(model):
        model = backbone_parts(model).classifier
    return learner_for_ways(learner, model, tasks.evaluation_ways)


def learner_for_ways(learner: Any, model: keras.Model, ways: int) -> Any:
    """Returns a learner around its model, or a part of it, for as many classes as are needed.

    Args:
        learner: A learner.
        model: Its model, or the part of it that is learned.
        ways: Classes that it has to tell apart.

    Raises:
        ValueError: If its head knows fewer.
    """
    if ways > model.output_shape[-1]:
        model = models.with_ways(model, ways)
    if model is learner.model:
        return learner
    made = warptf.with_model(learner, model)
    made.compile(loss=_loss(), metrics=_metrics(model))
    return made


def _compiled(config: FewShotConfig, model: keras.Model) -> Any:
    learner = composition.meta_learner(config, model, batch_norm=config.batch_norm)
    learner.compile(loss=_loss(), metrics=_metrics(model), **composition.outer_steps(config))
    return learner


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _metrics(model: keras.Model) -> list[keras.metrics.Metric]:
    return [
        keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        # A head may have more classes than a task; all that a task has occur.
        metrics.MacroF1(model.output_shape[-1], present_only=True, name="macro_f1"),
    ]


def _with_class_means(model: keras.Model, config: FewShotConfig) -> keras.Model:
    ways = max(config.ways, config.test_ways)
    return models.class_mean_learner(model, ways, config.distance, config.head_scale)


def _model(config: FewShotConfig, image_shape: tuple[int, int, int]) -> keras.Model:
    common: dict[str, Any] = dict(ways=config.ways, input_shape=image_shape, seed=config.seed)
    filters: Any = config.filters
    method = config.method
    if method.model is not None:
        options = {name: getattr(config, name) for name in method.model_options}
        return getattr(models, method.model)(filters=filters, **options, **common)
    if config.learner == "four-block":
        model = models.few_shot_learner(
            filters=filters, warp=config.warp, downsampling=config.downsampling, **common
        )
    else:
        make = {"six-block": models.six_block_learner, "resnet12": models.resnet12_learner}
        model = make[config.learner](warp=config.warp, **common)
    return model


def _set_momentum(model: keras.Model, momentum: float) -> None:
    """Makes all batch norms gather their statistics as the protocol wants it."""
    for _, layer in iterate_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def _is_body(layer: keras.layers.Layer) -> bool:
    return bool(layer.trainable_variables) and layer.name != "logits"
