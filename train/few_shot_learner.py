"""The learners of the few-shot experiment, one for each method."""

from typing import Any

import keras

import warptf
from warptf import metrics, models
from warptf.models.learner_parts import FEW_SHOT_MOMENTUM, MULTI_SHOT_MOMENTUM
from warptf.partition import iterate_layers

from . import methods
from .few_shot_config import FewShotConfig
from .flag_names import naming_flags


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
    learner = methods.meta_learner(config, model, batch_norm=config.batch_norm)
    learner.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            metrics.MacroF1(config.ways, name="macro_f1"),
        ],
        **methods.outer_steps(config),
    )
    return learner


def _model(config: FewShotConfig, image_shape: tuple[int, int, int]) -> keras.Model:
    common: dict[str, Any] = dict(ways=config.ways, input_shape=image_shape, seed=config.seed)
    filters: Any = config.filters
    if config.meta_learner in ("t-net", "mt-net"):
        return models.t_net_learner(filters=filters, **common)
    if config.meta_learner == "cavia":
        return models.cavia_learner(filters=filters, context_size=config.context_size, **common)
    if config.learner == "four-block":
        model = models.few_shot_learner(
            filters=filters, warp=config.warp, downsampling=config.downsampling, **common
        )
    else:
        make = {"six-block": models.six_block_learner, "resnet12": models.resnet12_learner}
        model = make[config.learner](warp=config.warp, **common)
    if config.meta_learner == "anil":
        return warptf.designate(model, warp=_is_body)
    return model


def _set_momentum(model: keras.Model, momentum: float) -> None:
    """Makes all batch norms gather their statistics as the protocol wants it."""
    for _, layer in iterate_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def _is_body(layer: keras.layers.Layer) -> bool:
    return bool(layer.trainable_variables) and layer.name != "logits"
