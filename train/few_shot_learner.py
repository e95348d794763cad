"""The learners of the few-shot experiment, one for each method."""

from collections.abc import Callable
from typing import Any

import keras

import warptf
from warptf import initializations, inner_optimizers, metrics, models, objectives
from warptf.models.learner_parts import FEW_SHOT_MOMENTUM, MULTI_SHOT_MOMENTUM
from warptf.partition import iterate_layers

from .few_shot_config import IMPLICIT, FewShotConfig

# Clipped so far below any gradient that arises, a gradient is divided by its norm.
_NORM = 1e-6
_ADAM_EPSILON = 1e-7


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
    model = _model(config, image_shape)
    _set_momentum(model, FEW_SHOT_MOMENTUM if config.batch_size is None else MULTI_SHOT_MOMENTUM)
    learner = _meta_learner(config, model)
    learner.compile(
        optimizer=_outer_optimizer(config, config.meta_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            metrics.MacroF1(config.ways, name="macro_f1"),
        ],
        initialization_optimizer=_outer_optimizer(config, config.initialization_rate),
        rate_optimizer=_outer_optimizer(config, config.meta_rate),
        jit_compile=config.jit,
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


def _meta_learner(config: FewShotConfig, model: keras.Model) -> Any:
    return warptf.OnlineMetaLearner(
        model,
        _inner_optimizer(config),
        config.inner_steps,
        objective=_objective(config),
        initialization=_initialization(config),
        evaluation_steps=config.evaluation_steps,
        seed=config.seed,
        batch_norm=config.batch_norm,
    )


def _objective(config: FewShotConfig) -> objectives.Objective | None:
    if config.warped:
        return objectives.WarpGrad(str(config.second_order))
    if config.meta_learner in ("meta-sgd", "t-net", "mt-net", "cavia", "anil"):
        return objectives.BackpropThroughAdaptation()
    return None


def _initialization(config: FewShotConfig) -> initializations.Initialization:
    implicit: dict[str, Any] = dict(
        proximal_weight=config.proximal_weight,
        conjugate_gradient_steps=config.conjugate_gradient_steps,
        system=config.system,
    )
    bilevel: dict[str, Any] = dict(
        proximal_weight=config.proximal_weight,
        perturbation=config.perturbation,
        symmetric=config.symmetric,
    )
    makers: dict[str, Callable[[], initializations.Initialization]] = {
        "fomaml": lambda: initializations.MAML(first_order=True),
        "reptile": initializations.Reptile,
        "warp-reptile": initializations.Reptile,
        "leap": initializations.Leap,
        "warp-leap": initializations.Leap,
        "fo-b-maml": lambda: initializations.FirstOrderBilevelMAML(**bilevel),
        "cavia": initializations.Fixed,
        "none": initializations.Fixed,
        **{name: lambda: initializations.ImplicitMAML(**implicit) for name in IMPLICIT},
    }
    return makers.get(config.meta_learner, initializations.MAML)()


def _inner_optimizer(config: FewShotConfig) -> inner_optimizers.InnerOptimizer:
    if config.meta_learner == "mt-net":
        return inner_optimizers.MaskedSGD(config.inner_rate)
    if config.meta_learner == "meta-sgd":
        return inner_optimizers.LearnedSGD(
            config.inner_rate,
            momentum=config.inner_momentum,
            granularity="parameter",
            learn_momentum=False,
        )
    return inner_optimizers.SGD(config.inner_rate, momentum=config.inner_momentum)


def _outer_optimizer(config: FewShotConfig, rate: float) -> keras.optimizers.Optimizer:
    clip_norm, epsilon = config.clip_norm, _ADAM_EPSILON
    if config.normalize_gradient:
        # Adam's step does not depend on the scale of gradients, if its epsilon has the same.
        clip_norm, epsilon = _NORM, _NORM * _ADAM_EPSILON
        rate = rate if config.outer_optimizer == "adam" else rate / _NORM
    schedule: Any = rate
    if config.schedule == "cosine" and config.meta_steps:
        schedule = keras.optimizers.schedules.CosineDecay(rate, config.meta_steps)
    if config.outer_optimizer == "sgd":
        return keras.optimizers.SGD(
            schedule, momentum=config.outer_momentum, global_clipnorm=clip_norm
        )
    return keras.optimizers.Adam(schedule, epsilon=epsilon, global_clipnorm=clip_norm)
