"""Meta-training by `fit`, from a meta-step on."""

import sys
from typing import Any

import keras
import tensorflow as tf

from .engine.distribution import LOST_WORKER
from .engine.run_directory import RunDirectory


def meta_train(
    config: Any,
    learner: Any,
    data: tf.data.Dataset,
    step: int,
    run: RunDirectory,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Meta-trains a learner to the last meta-step of its configuration.

    Args:
        config: The configuration.
        learner: The compiled learner, as it is after so many meta-steps.
        data: The meta-batches that follow.
        step: How many meta-steps it has taken.
        run: The run, for what is said where a worker is lost.
        callbacks: Keras' callbacks.

    Raises:
        ConnectionError: If another worker of the cluster was lost.
    """
    parts = config.accumulation_steps
    if parts > 1:
        data = data.rebatch(config.meta_batch // parts, drop_remainder=True)
    try:
        learner.fit(
            data,
            steps_per_epoch=config.epoch_steps * parts,
            initial_epoch=step // config.epoch_steps,
            epochs=config.meta_steps // config.epoch_steps,
            shuffle=False,
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 2,
        )
    except LOST_WORKER as error:
        if config.strategy != "multiworker":
            raise
        begun = run.checkpoints.latest.exists()
        raise ConnectionError(
            f"a worker was lost while others waited for it ({type(error).__name__}): start "
            "all workers again with --resume, to continue from "
            + ("the last checkpoint" if begun else "the beginning, for want of a checkpoint")
        ) from error
