"""The learners of the multi-shot experiment, one for each method."""

from typing import Any

import keras

import warptf
from warptf import inner_optimizers, metrics, models, objectives

from ...engine.composition import initialization
from .config import MultiShotConfig

INPUT_SHAPE = (28, 28, 1)


def build_learner(config: MultiShotConfig) -> Any:
    """Returns the compiled meta-learner of a configuration.

    Args:
        config: A valid configuration.

    >>> config = MultiShotConfig.from_preset("smoke", meta_learner="reptile")
    >>> type(build_learner(config)).__name__
    'OnlineMetaLearner'
    """
    model = models.multi_shot_learner(
        ways=config.ways,
        filters=config.filters,
        warp=config.warp,
        input_shape=INPUT_SHAPE,
        seed=config.seed,
    )
    learner = _meta_learner(config, model)
    learner.compile(
        optimizer=keras.optimizers.SGD(config.meta_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            metrics.MacroF1(config.ways, name="macro_f1"),
        ],
        initialization_optimizer=keras.optimizers.SGD(config.initialization_rate),
        rate_optimizer=keras.optimizers.SGD(config.rate_rate) if config.learned_rate else None,
        jit_compile=config.jit_compile,
        vectorize_tasks=config.vectorize,
    )
    return learner


def _meta_learner(config: MultiShotConfig, model: keras.Model) -> Any:
    common: dict[str, Any] = dict(
        model=model,
        inner_optimizer=_inner_optimizer(config),
        inner_steps=config.inner_steps,
        evaluation_steps=config.evaluation_steps,
        seed=config.seed,
    )
    if config.warped:
        if config.algorithm == "offline":
            own: dict[str, Any] = dict(
                replay_batch_size=config.replay_batch_size,
                replay_epochs=config.replay_epochs,
                replay_storage=config.replay_storage,
            )
        else:
            own = _accumulation(config)
        return warptf.WarpLeap(
            algorithm=str(config.algorithm),
            objective=objectives.WarpGrad(str(config.second_order)),
            **own,
            **common,
        )
    if config.meta_learner == "finetune":
        return warptf.MultiHeadFinetuning(num_tasks=config.train_alphabets, **common)
    return warptf.OnlineMetaLearner(
        objective=None, initialization=initialization(config), **_accumulation(config), **common
    )


def _accumulation(config: MultiShotConfig) -> dict[str, Any]:
    return dict(gradient_accumulation_steps=config.accumulation_steps)


def _inner_optimizer(config: MultiShotConfig) -> Any:
    if config.learned_rate:
        return inner_optimizers.LearnedSGD(config.inner_rate, meta_gradient_clip=config.rate_rate)
    return inner_optimizers.SGD(config.inner_rate)
