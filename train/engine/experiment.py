"""What every experiment does: meta-train, score on held-out tasks, write the run directory."""

import abc
import math
import sys
import time
from typing import Any

import keras
from warptf_launcher.interruption import interruption

from ..meta_train import meta_train
from .distribution import make_strategy, run_directory
from .early_stopping import EarlyStopping, stops
from .figures import FIGURES
from .learner_files import is_intact, load_learner, save_learner
from .precision import computing_in
from .recorder import Recorder
from .run_directory import RunDirectory
from .run_options import flag
from .selection import BY_TASK, validation_figures
from .time_to_go import TimeToGo
from .untrained import BEST, UNTRAINED, beside_untrained, words, write_untrained
from .whole_files import write_json


class Experiment(abc.ABC):
    """An experiment of `warptf train`: from a configuration to a result.

    Subclasses say what the tasks and the learner are, and what is reported of them.
    """

    name: str
    """What `warptf train` knows it by."""
    config_class: Any
    """Its configuration, a `RunOptions` with a constructor `from_preset`."""
    monitored = "accuracy"
    """The figure on validation tasks that says which learner is the best, one of `FIGURES`."""
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
        """Returns figures on validation tasks, or `None` where there are no such tasks.

        Under `BY_TASK` they hold those of each task, which decide on the best learner.
        """

    @abc.abstractmethod
    def score(self, learner: Any, tasks: Any) -> Any:
        """Returns the scores of each held-out task."""

    def by_task(self, tasks: Any, scores: Any) -> dict[str, Any]:
        """Returns the figures of each held-out task that learners are compared by, `[N]`.

        Those that report the best learner need the monitored one, and with it what else tells
        learners apart.
        """
        return {}

    @abc.abstractmethod
    def scores_by_task(self, tasks: Any, scores: Any) -> dict[str, Any]:
        """Returns what `scores.json` holds."""

    @abc.abstractmethod
    def figures(self, config: Any, tasks: Any, scores: Any) -> dict[str, Any]:
        """Returns what `result.json` holds besides what all experiments report."""

    @abc.abstractmethod
    def write_plots(self, run: RunDirectory) -> None:
        """Draws what the run has measured."""

    def fitted(self, config: Any, given: set[str]) -> Any:
        """Returns a configuration that the data have enough for, where that may be chosen.

        Args:
            config: The configuration.
            given: Names of the fields that the user chose.
        """
        return config

    def tasks_of(self, config: Any, learner: Any) -> Any:
        """Returns the task distribution that a finished learner is scored on.

        Args:
            config: The configuration of its run.
            learner: The learner, as loaded from the run's `model.keras`.
        """
        return self.build_tasks(config)

    def finished_learner(self, learner: Any, tasks: Any) -> Any:
        """Returns what is kept as `model.keras` of the learner that was meta-trained.

        Args:
            learner: The learner that is reported.
            tasks: What it was meta-trained on.
        """
        return learner

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
        path = config.chosen_run_dir(*self.run_dir_words(config))
        with run_directory(config, path) as run, run.lock:
            return self._train_or_restore(config, run)

    def _train_or_restore(self, config: Any, run: RunDirectory) -> dict[str, Any]:
        run.check(config)
        if not run.missing():
            return run.read_result()
        run.claim(config)
        missing = run.missing()
        if run.result.name in missing:
            return self._train(config, run)
        if missing:
            self._restore(config, run, missing)
        return run.read_result()

    def _train(self, config: Any, run: RunDirectory) -> dict[str, Any]:
        """Meta-trains into a folder that may be used."""
        strategy = make_strategy(config)
        config.check_replicas(strategy.num_replicas_in_sync)
        tasks = self.build_tasks(config)
        with strategy.scope():
            learner = self._trained(config, tasks, run, test_untrained=self._chooses(config))
            started = time.monotonic()
            scores = self.score(learner, tasks)
            finished = self.finished_learner(learner, tasks)
        seconds = time.monotonic() - started + run.training_seconds()
        result = self._result(config, learner, tasks, scores, seconds)
        if self._chooses(config):
            own = self.by_task(tasks, scores)
            result |= validation_figures(run.evaluations(), self.monitored)
            result |= beside_untrained(run.untrained, own, self.monitored)
        save_learner(finished, run.model)
        write_json(run.scores, self.scores_by_task(tasks, scores))
        self._draw(run)
        write_json(run.result, result)
        said = words(result, self.monitored)
        if said:
            print(f"warptf: {said}", file=sys.stderr)
        return result

    def _restore(self, config: Any, run: RunDirectory, missing: list[str]) -> None:
        """Writes what is missing of a finished run, whose result stays as it is."""
        print(f"warptf: {run.path}: restoring {', '.join(missing)}", file=sys.stderr)
        tasks = self.build_tasks(config)
        run.open(config, tasks.describe())
        with make_strategy(config).scope():
            if run.model.name in missing:
                kept = self._chooses(config) and is_intact(run.checkpoints.best)
                load = run.checkpoints.load_best
                learner = load() if kept else self._trained(config, tasks, run)
                save_learner(self.finished_learner(learner, tasks), run.model)
            if run.scores.name in missing:
                scores = self.score(load_learner(run.model, "remove it"), tasks)
                write_json(run.scores, self.scores_by_task(tasks, scores))
        if run.plots.name in missing:
            self._draw(run)

    def _draw(self, run: RunDirectory) -> None:
        self.write_plots(run)
        run.note_plots()

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
        with run.lock:
            run.check(config)
            run.claim(config)
            return self._train_for_validation(config, run)

    def _train_for_validation(self, config: Any, run: RunDirectory) -> dict[str, Any]:
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
        internal = ("kind", "step", BY_TASK)
        figures = {name: figures[name] for name in figures if name not in internal}
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
        tasks = self.tasks_of(config, learner)
        run.check_split(tasks.describe())
        scores = self.score(learner, tasks)
        result = self._result(config, learner, tasks, scores, time.monotonic() - started)
        if self._chooses(config):
            begun = run.read_result()
            result |= {name: begun[name] for name in begun if name.startswith("validation_")}
            if config.differences(run.read_config(type(config))) == []:
                own = self.by_task(tasks, scores)
                result |= beside_untrained(run.untrained, own, self.monitored)
        return result

    def _chooses(self, config: Any) -> bool:
        """Whether the best learner on validation is reported."""
        return bool(self.reports_best and config.meta_steps and config.evaluate_every)

    def _trained(
        self, config: Any, tasks: Any, run: RunDirectory, test_untrained: bool = False
    ) -> Any:
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
        interruption.resumes_by(f"--run-dir {run.path} --resume")
        print(f"run directory: {run.path}", file=sys.stderr)
        if test_untrained and not run.untrained.exists():
            scores = self.score(learner, tasks)
            figures = self.figures(config, tasks, scores)
            write_untrained(run.untrained, figures, tuple(FIGURES), self.by_task(tasks, scores))
        return self._meta_train(config, learner, tasks, run)

    def _meta_train(self, config: Any, learner: Any, tasks: Any, run: RunDirectory) -> Any:
        """Returns the learner to report, meta-steps before the last checkpoint not repeated."""
        resumed = run.checkpoints.load()
        learner = learner if resumed is None else resumed
        step = int(learner.meta_step.value.numpy())
        run.truncate_metrics(-1 if resumed is None else step)
        if self._chooses(config) and run.evaluations():
            run.checkpoints.check_best()
        # The untrained learner is evaluated too, but patience begins with meta-training.
        seen = [row[self.monitored] for row in run.evaluations() if row["step"] > 0]
        if step < config.meta_steps and not stops(seen, config.patience, self.monitored):
            callbacks = self._callbacks(config, learner, tasks, run, seen)
            meta_train(config, learner, tasks.train_from(step), step, run, callbacks)
        chooses = self._chooses(config) and run.evaluations()
        return run.checkpoints.load_best() if chooses else learner

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
        callbacks: list[keras.callbacks.Callback] = [recorder, TimeToGo(config.epoch_steps)]
        if config.patience:
            callbacks.append(EarlyStopping(config.patience, self.monitored, seen))
        if config.tensorboard:
            logs = run.path / "tensorboard"
            callbacks.append(keras.callbacks.TensorBoard(log_dir=logs, write_graph=False))
        return callbacks

    def _result(
        self, config: Any, learner: Any, tasks: Any, scores: Any, seconds: float
    ) -> dict[str, Any]:
        step, best = int(learner.meta_step.value.numpy()), self._chooses(config)
        reported = (BEST if step else UNTRAINED) if best else "last"
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
            "reported_model": reported,
            "reported_meta_step": step,
        }
