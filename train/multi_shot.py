"""The multi-shot experiment: meta-train on some alphabets, learn others from many steps."""

import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf import plotting
from warptf.tasks import MultiShot, glyph_bank, omniglot_bank

from .multi_shot_config import MultiShotConfig
from .multi_shot_learner import build_learner
from .recorder import Recorder
from .result import area_under_curve, figures
from .run_directory import RunDirectory

EXPERIMENT = "multi-shot"


def train(config: MultiShotConfig) -> dict[str, Any]:
    """Meta-trains a learner, scores it on the held-out alphabets and writes the run directory.

    The figures are those of the last meta-step, not of the best one on validation.

    Args:
        config: The configuration; `run_dir` defaults to a new folder under `runs/`.

    Returns:
        The object that `result.json` holds.

    Raises:
        ValueError: If the configuration, the data or the run directory does not fit.
        OSError: If the run directory cannot be written.
    """
    config.validate()
    run = RunDirectory(config.chosen_run_dir(EXPERIMENT, config.data, config.meta_learner))
    run.check(config)
    if run.finished:
        return run.read_json(run.result)
    strategy = _strategy(config)
    config.check_replicas(strategy.num_replicas_in_sync)
    tasks = build_tasks(config)
    with strategy.scope():
        run.open(config)
        print(f"run directory: {run.path}", file=sys.stderr)
        learner = _meta_train(config, tasks, run)
        started = time.monotonic()
        scores = _test_scores(learner, tasks)
    run.save_learner(learner, run.model)
    run.write_json(run.scores, _scores_by_task(tasks, scores))
    _write_plots(run)
    seconds = time.monotonic() - started + run.training_seconds()
    result = _result(config, scores, seconds)
    run.write_json(run.result, result)
    return result


def evaluate(config: MultiShotConfig, learner: Any) -> dict[str, Any]:
    """Scores a meta-trained learner on the held-out alphabets again.

    Args:
        config: The configuration of its run.
        learner: The learner, as loaded from the run's `model.keras`.

    Returns:
        What `train` returned, the seconds being those of the evaluation.
    """
    started = time.monotonic()
    scores = _test_scores(learner, build_tasks(config))
    return _result(config, scores, time.monotonic() - started)


def build_tasks(config: MultiShotConfig) -> Any:
    """Returns the task distribution of a configuration.

    Args:
        config: A valid configuration.
    """
    return MultiShot(
        _bank(config),
        ways=config.ways,
        train_alphabets=config.train_alphabets,
        tasks_per_batch=config.tasks,
        steps=config.inner_steps,
        batch_size=config.batch_size,
        evaluation_steps=config.evaluation_steps,
        evaluation_tasks_per_batch=5,
        query_steps=config.algorithm == "online",
        replay=config.algorithm == "offline",
        seed=config.seed,
    )


def _bank(config: MultiShotConfig) -> Any:
    if config.data == "glyphs":
        return glyph_bank(config.data_dir)
    return omniglot_bank(config.data_dir)


def _strategy(config: MultiShotConfig) -> tf.distribute.Strategy:
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _meta_train(config: MultiShotConfig, tasks: Any, run: RunDirectory) -> Any:
    """Returns the learner after all meta-steps, those before the last checkpoint not repeated."""
    if run.checkpoint.exists():
        learner = keras.models.load_model(run.checkpoint)
        step = int(learner.meta_step.value.numpy())
    else:
        learner, step = build_learner(config), 0
    run.truncate_metrics(step if run.checkpoint.exists() else -1)
    if step < config.meta_steps:
        learner.fit(
            tasks.train_from(step),
            steps_per_epoch=config.epoch_steps,
            initial_epoch=step // config.epoch_steps,
            epochs=config.meta_steps // config.epoch_steps,
            shuffle=False,
            callbacks=_callbacks(config, tasks, learner, run, step),
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return learner


def _callbacks(
    config: MultiShotConfig, tasks: Any, learner: Any, run: RunDirectory, step: int
) -> list[keras.callbacks.Callback]:
    def evaluate_validation() -> dict[str, Any]:
        # One batch of validation alphabets draws the curves; their number grows as that of the
        # training alphabets falls, and with it would the time.
        return _validation_figures(learner.evaluate_tasks(tasks.validation.take(1)))

    callbacks: list[keras.callbacks.Callback] = [
        Recorder(
            run,
            evaluate_validation if tasks.describe()["validation"] else None,
            config.evaluate_every,
            config.checkpoint_every,
            step,
        )
    ]
    if config.tensorboard:
        callbacks.append(
            keras.callbacks.TensorBoard(log_dir=run.path / "tensorboard", write_graph=False)
        )
    return callbacks


def _validation_figures(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "loss": float(np.mean(scores["loss"])),
        "accuracy": float(np.mean(scores["accuracy"])),
        "auc": float(area_under_curve(scores["support_accuracy"]).mean()),
        "learning_curve": np.mean(scores["support_accuracy"], axis=0, dtype="float64")
        .round(6)
        .tolist(),
    }


def _test_scores(learner: Any, tasks: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the scores of the held-out alphabets, transformed as in training and as drawn."""
    return learner.evaluate_tasks(tasks.test), learner.evaluate_tasks(tasks.test_undistorted)


def _scores_by_task(tasks: Any, scores: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    distorted, undistorted = scores
    return {
        "tasks": tasks.describe()["test"],
        "distorted": {name: values.tolist() for name, values in distorted.items()},
        "undistorted": {name: values.tolist() for name, values in undistorted.items()},
    }


def _write_plots(run: RunDirectory) -> None:
    rows = run.read_metrics()
    curves = {row["step"]: row["learning_curve"] for row in rows if row["kind"] == "evaluation"}
    if not curves:
        # Nothing was meta-trained, or no alphabet is left for validation: the test tasks' curve.
        accuracies = run.read_json(run.scores)["distorted"]["support_accuracy"]
        step = max((row["step"] for row in rows), default=0)
        curves = {step: np.mean(accuracies, axis=0).tolist()}
    plotting.learning_curves(curves, run.plots / "learning_curves.png")
    training = [row for row in rows if row["kind"] == "training"]
    if training:
        steps, losses = [row["step"] for row in training], [row["loss"] for row in training]
        plotting.meta_training(steps, losses, run.plots / "meta_training.png")


def _result(
    config: MultiShotConfig, scores: tuple[dict[str, Any], dict[str, Any]], seconds: float
) -> dict[str, Any]:
    return {
        "experiment": EXPERIMENT,
        "meta_learner": config.meta_learner,
        "data": config.data,
        "preset": config.preset,
        "seed": config.seed,
        "seconds": round(seconds, 1),
        **figures(*scores),
        "reported_model": "last",
        "filters": config.filters,
        "train_alphabets": config.train_alphabets,
        "tasks": config.tasks,
        "inner_steps": config.inner_steps,
        "batch_size": config.batch_size,
        "meta_steps": config.meta_steps,
        "evaluation_steps": config.evaluation_steps,
    }
