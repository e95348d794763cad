"""Makes what a method of `MethodOptions` consists of."""

from typing import Any

import keras

import warptf
from warptf import initializations, inner_optimizers, objectives

from .method_options import MethodOptions
from .rate_schedule import rate_schedule

# Clipped so far below any gradient that arises, a gradient is divided by its norm.
_NORM = 1e-6
_ADAM_EPSILON = 1e-7


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
        initialization=initialization(config),
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


def initialization(config: Any) -> initializations.Initialization:
    """Returns the initialization of a method.

    Args:
        config: A valid configuration, whose `method` it is.
    """
    method = config.method
    # An experiment without such a field leaves it at the default.
    options = {name: getattr(config, name) for name in method.options if hasattr(config, name)}
    return getattr(initializations, method.initialization)(**method.settings, **options)


def _objective(config: MethodOptions) -> objectives.Objective | None:
    if config.method.objective == "warp":
        return objectives.WarpGrad(str(config.second_order))
    if config.method.objective == "adaptation":
        return objectives.BackpropThroughAdaptation()
    return None


def _inner_optimizer(config: MethodOptions) -> inner_optimizers.InnerOptimizer:
    settings = dict(config.method.inner_settings)
    if config.inner_momentum:
        settings["momentum"] = config.inner_momentum
    make = getattr(inner_optimizers, config.method.inner_optimizer)
    return make(config.inner_rate, **settings)


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
