"""What every experiment does: meta-train, score on held-out tasks, write the run directory."""

import abc
import math
import sys
import time
from typing import Any

import keras
import tensorflow as tf

from .distribution import LOST_WORKER, make_strategy, run_directory
from .early_stopping import EarlyStopping, stops
from .precision import computing_in
from .recorder import Recorder
from .run_directory import RunDirectory
from .run_options import flag


class Experiment(abc.ABC):
    """An experiment of `warptf train`: from a configuration to a result.

    Subclasses say what the tasks and the learner are, and what is reported of them.
    """

    name: str
    """What `warptf train` knows it by."""
    config_class: Any
    """Its configuration, a `RunOptions` with a constructor `from_preset`."""
    preset_fields: tuple[str, ...]
    """The fields that `from_preset` sets the defaults of others by."""
    monitored = "accuracy"
    """The figure on validation tasks that says which learner is the best: "accuracy", "reward" or
    "loss"."""
    rate_field = "inner_rate"
    """The field that is to be lowered where figures are not finite."""
    objectives: tuple[str, ...] = ("accuracy", "loss")
    """The figures on validation tasks that configurations can be searched by."""
    reports_best = False
    """Whether the best learner on validation is reported where there is one, or the last."""

    @abc.abstractmethod
    def build_tasks(self, config: Any) -> Any:
        """Returns the task distribution of a valid configuration."""

    @abc.abstractmethod
    def build_learner(self, config: Any, tasks: Any) -> Any:
        """Returns the compiled meta-learner of a valid configuration, untrained."""

    @abc.abstractmethod
    def score_validation(self, learner: Any, tasks: Any) -> dict[str, Any] | None:
        """Returns figures on validation tasks, or `None` where there are no such tasks."""

    @abc.abstractmethod
    def score(self, learner: Any, tasks: Any) -> Any:
        """Returns the scores of each held-out task."""

    @abc.abstractmethod
    def scores_by_task(self, tasks: Any, scores: Any) -> dict[str, Any]:
        """Returns what `scores.json` holds."""

    @abc.abstractmethod
    def figures(self, config: Any, tasks: Any, scores: Any) -> dict[str, Any]:
        """Returns what `result.json` holds besides what all experiments report."""

    @abc.abstractmethod
    def write_plots(self, run: RunDirectory) -> None:
        """Draws what the run has measured."""

    def run_dir_words(self, config: Any) -> tuple[str, ...]:
        """Returns words for the name of a new run directory."""
        return (self.name, config.data, config.meta_learner)

    def train(self, config: Any) -> dict[str, Any]:
        """Meta-trains a learner, scores it on the held-out tasks and writes the run directory.

        Args:
            config: The configuration; `run_dir` defaults to a new folder under `runs/`.

        Returns:
            The object that `result.json` holds.

        Raises:
            ValueError: If the configuration, the data or the run directory does not fit.
            OSError: If the run directory cannot be written.
        """
        config.validate()
        with run_directory(config, config.chosen_run_dir(*self.run_dir_words(config))) as run:
            run.check(config)
            if run.finished:
                return run.read_json(run.result)
            return self._train(config, run)

    def _train(self, config: Any, run: RunDirectory) -> dict[str, Any]:
        """Meta-trains into a folder that may be used."""
        strategy = make_strategy(config)
        config.check_replicas(strategy.num_replicas_in_sync)
        tasks = self.build_tasks(config)
        with strategy.scope():
            learner = self._trained(config, tasks, run)
            started = time.monotonic()
            scores = self.score(learner, tasks)
        seconds = time.monotonic() - started + run.training_seconds()
        result = self._result(config, learner, tasks, scores, seconds)
        run.save_learner(learner, run.model)
        run.write_json(run.scores, self.scores_by_task(tasks, scores))
        self.write_plots(run)
        run.write_json(run.result, result)
        return result

    def train_for_validation(self, config: Any) -> dict[str, Any]:
        """Meta-trains a learner as `train` does, and scores it on validation tasks alone.

        Args:
            config: The configuration, with a `run_dir`.

        Returns:
            The figures of the learner that `train` would report, with the seconds.

        Raises:
            ValueError: If the configuration, the data or the run directory does not fit, or there
                are no validation tasks.
            OSError: If the run directory cannot be written.
        """
        config.validate()
        run = RunDirectory(config.run_dir)
        run.check(config)
        strategy = make_strategy(config)
        config.check_replicas(strategy.num_replicas_in_sync)
        tasks = self.build_tasks(config)
        with strategy.scope():
            learner = self._trained(config, tasks, run)
            started = time.monotonic()
            step = int(learner.meta_step.value.numpy())
            recorded = [row for row in run.evaluations() if row["step"] == step]
            figures = recorded[-1] if recorded else self.score_validation(learner, tasks)
        if figures is None:
            raise ValueError("no class or alphabet is left for validation; leave some")
        seconds = time.monotonic() - started + run.training_seconds()
        figures = {name: figures[name] for name in figures if name not in ("kind", "step")}
        return {**figures, "seconds": round(seconds, 3)}

    def evaluate(self, config: Any, learner: Any, run: RunDirectory) -> dict[str, Any]:
        """Scores a meta-trained learner on the held-out tasks again.

        Args:
            config: The configuration of its run.
            learner: The learner, as loaded from the run's `model.keras`.
            run: The run.

        Returns:
            What `train` returned, the seconds being those of the evaluation.

        Raises:
            ValueError: If the data have other classes than those of the run.
        """
        started = time.monotonic()
        tasks = self.build_tasks(config)
        run.check_split(tasks.describe())
        scores = self.score(learner, tasks)
        return self._result(config, learner, tasks, scores, time.monotonic() - started)

    def _trained(self, config: Any, tasks: Any, run: RunDirectory) -> Any:
        """Returns the learner to report, from an untrained one or the run's last checkpoint."""
        split = tasks.describe()
        if config.patience and not split["validation"]:
            raise ValueError(
                f"--patience {config.patience}: no class or alphabet is left for validation; "
                f"leave it out, or leave some"
            )
        run.check_split(split)
        # Before the folder is made, so that a learner that cannot be built leaves none behind.
        with computing_in(config.precision):
            learner = self.build_learner(config, tasks)
        run.open(config, split)
        print(f"run directory: {run.path}", file=sys.stderr)
        return self._meta_train(config, learner, tasks, run)

    def _meta_train(self, config: Any, learner: Any, tasks: Any, run: RunDirectory) -> Any:
        """Returns the learner to report, meta-steps before the last checkpoint not repeated."""
        resumed = run.checkpoint.exists()
        if resumed:
            learner = keras.models.load_model(run.checkpoint)
        step = int(learner.meta_step.value.numpy())
        run.truncate_metrics(step if resumed else -1)
        # The untrained learner is evaluated too, but patience begins with meta-training.
        seen = [row[self.monitored] for row in run.evaluations() if row["step"] > 0]
        if step < config.meta_steps and not stops(seen, config.patience, self.monitored):
            callbacks = self._callbacks(config, learner, tasks, run, seen)
            self._fit(config, learner, tasks.train_from(step), step, run, callbacks)
        if self.reports_best and run.best.exists():
            return keras.models.load_model(run.best)
        return learner

    def _fit(
        self,
        config: Any,
        learner: Any,
        data: tf.data.Dataset,
        step: int,
        run: RunDirectory,
        callbacks: list[keras.callbacks.Callback],
    ) -> None:
        """Meta-trains from a meta-step on."""
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
            begun = run.checkpoint.exists()
            raise ConnectionError(
                f"a worker was lost while others waited for it ({type(error).__name__}): start "
                "all workers again with --resume, to continue from "
                + ("the last checkpoint" if begun else "the beginning, for want of a checkpoint")
            ) from error

    def _callbacks(
        self, config: Any, learner: Any, tasks: Any, run: RunDirectory, seen: list[float]
    ) -> list[keras.callbacks.Callback]:
        recorder = Recorder(
            run,
            lambda: self.score_validation(learner, tasks),
            config.evaluate_every,
            config.checkpoint_every,
            int(learner.meta_step.value.numpy()),
            self.monitored,
            keep_best=self.reports_best,
        )
        callbacks: list[keras.callbacks.Callback] = [recorder]
        if config.patience:
            callbacks.append(EarlyStopping(config.patience, self.monitored, seen))
        if config.tensorboard:
            logs = run.path / "tensorboard"
            callbacks.append(keras.callbacks.TensorBoard(log_dir=logs, write_graph=False))
        return callbacks

    def _result(
        self, config: Any, learner: Any, tasks: Any, scores: Any, seconds: float
    ) -> dict[str, Any]:
        best = self.reports_best and config.meta_steps and config.evaluate_every
        figures = self.figures(config, tasks, scores)
        if not math.isfinite(figures[self.monitored]):
            raise ValueError(
                f"the test tasks gave a {self.monitored} that is not finite: lower "
                f"{flag(self.rate_field)} {getattr(config, self.rate_field)}"
            )
        return {
            "experiment": self.name,
            "meta_learner": config.meta_learner,
            "data": config.data,
            "preset": config.preset,
            "seed": config.seed,
            "seconds": round(seconds, 1),
            **figures,
            "reported_model": "best on validation" if best else "last",
            "reported_meta_step": int(learner.meta_step.value.numpy()),
        }
