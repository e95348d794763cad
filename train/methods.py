"""Makes what a method of `MethodOptions` consists of."""

from collections.abc import Callable
from typing import Any

import keras

import warptf
from warptf import initializations, inner_optimizers, objectives

from .engine.method_options import IMPLICIT, MethodOptions
from .engine.rate_schedule import rate_schedule

# Clipped so far below any gradient that arises, a gradient is divided by its norm.
_NORM = 1e-6
_ADAM_EPSILON = 1e-7
_THROUGH_ADAPTATION = ("meta-sgd", "t-net", "mt-net", "cavia", "anil")


def meta_learner(config: MethodOptions, model: keras.Model, **arguments: Any) -> Any:
    """Returns the meta-learner of a method, to be compiled.

    Args:
        config: A valid configuration.
        model: The learner.
        **arguments: Further ones for `OnlineMetaLearner`.
    """
    return warptf.OnlineMetaLearner(
        model,
        _inner_optimizer(config),
        config.inner_steps,
        objective=_objective(config),
        initialization=_initialization(config),
        evaluation_steps=config.evaluation_steps,
        seed=config.seed,
        gradient_accumulation_steps=config.accumulation_steps,
        **arguments,
    )


def outer_steps(config: MethodOptions) -> dict[str, Any]:
    """Returns what `compile` is to be given for the outer steps of a method.

    Args:
        config: A valid configuration.
    """
    return dict(
        optimizer=_outer_optimizer(config, config.meta_rate),
        initialization_optimizer=_outer_optimizer(config, config.initialization_rate),
        rate_optimizer=_outer_optimizer(config, config.meta_rate),
        jit_compile=config.jit_compile,
        vectorize_tasks=config.vectorize,
    )


def _objective(config: MethodOptions) -> objectives.Objective | None:
    if config.warped:
        return objectives.WarpGrad(str(config.second_order))
    if config.meta_learner in _THROUGH_ADAPTATION:
        return objectives.BackpropThroughAdaptation()
    return None


def _initialization(config: MethodOptions) -> initializations.Initialization:
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
        "centroid": initializations.Fixed,
        **{name: lambda: initializations.ImplicitMAML(**implicit) for name in IMPLICIT},
    }
    return makers.get(config.meta_learner, initializations.MAML)()


def _inner_optimizer(config: MethodOptions) -> inner_optimizers.InnerOptimizer:
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


def _outer_optimizer(config: MethodOptions, rate: float) -> keras.optimizers.Optimizer:
    clip_norm, epsilon = config.clip_norm, _ADAM_EPSILON
    if config.normalize_gradient:
        # Adam's step does not depend on the scale of gradients, if its epsilon has the same.
        clip_norm, epsilon = _NORM, _NORM * _ADAM_EPSILON
        rate = rate if config.outer_optimizer == "adam" else rate / _NORM
    schedule = rate_schedule(config.schedule, rate, config.meta_steps)
    if config.outer_optimizer == "sgd":
        return keras.optimizers.SGD(
            schedule, momentum=config.outer_momentum, global_clipnorm=clip_norm
        )
    return keras.optimizers.Adam(schedule, epsilon=epsilon, global_clipnorm=clip_norm)
