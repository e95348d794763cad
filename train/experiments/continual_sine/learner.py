"""The learners of the continual experiment, one for each method."""

from typing import Any

import keras

import warptf
from warptf import initializations, inner_optimizers, losses, models, objectives
from warptf.tasks import ContinualClasses, ContinualTasks

from .config import ContinualSineConfig


def build_learner(config: ContinualSineConfig, tasks: ContinualTasks) -> Any:
    """Returns the compiled meta-learner of a configuration.

    Args:
        config: A valid configuration.
        tasks: Its sequences.
    """
    learner = warptf.OnlineMetaLearner(
        _model(config, tasks),
        inner_optimizers.SGD(config.inner_rate),
        config.inner_steps,
        objective=objectives.WarpGrad(str(config.second_order)) if config.warped else None,
        initialization=_initialization(config),
        seed=config.seed,
        gradient_accumulation_steps=config.accumulation_steps,
    )
    learner.compile(
        loss=_loss(config),
        metrics=[]
        if config.data == "sine"
        else [keras.metrics.SparseCategoricalAccuracy("accuracy")],
        **config.outer_steps(),
    )
    return learner


def _model(config: ContinualSineConfig, tasks: ContinualTasks) -> keras.Model:
    if not isinstance(tasks, ContinualClasses):
        return models.sine_learner(
            units=int(config.units or 0), warp_units=config.warp_units, seed=config.seed
        )
    return models.few_shot_learner(
        ways=tasks.classes,
        filters=int(config.filters or 0),
        warp="conv3x3" if config.warped else None,
        input_shape=tasks.image_shape,
        seed=config.seed,
    )


def _initialization(config: ContinualSineConfig) -> initializations.Initialization:
    return initializations.MAML() if config.meta_learner == "maml" else initializations.Fixed()


def _loss(config: ContinualSineConfig) -> keras.losses.Loss:
    if config.data == "sine":
        return losses.HalfSquaredError()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
