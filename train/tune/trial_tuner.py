"""KerasTuner's searches, with the trainings of an experiment as trials."""

import dataclasses
import math
import sys
import traceback
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from warptf import tuning

from ..engine.experiment import Experiment
from ..engine.figures import FIGURES
from ..engine.run_directory import RunDirectory
from ..engine.run_options import flag
from .directory import TuneDirectory
from .options import TuneOptions

_TUNERS: dict[str, type] = {
    "random": tuning.RandomSearch,
    "hyperband": tuning.Hyperband,
    "bayesian": tuning.BayesianOptimization,
    "grid": tuning.GridSearch,
}


class MachineError(keras_tuner.errors.FatalError, OSError):
    """Ends a search: a full disk or a lost file says nothing about a configuration."""


class TrialMixin(tuning.LoudTrials):
    """Trains the experiment's learner in each trial, or takes the outcome of an earlier search.

    Args:
        experiment: The experiment.
        config: The configuration that trials depart from.
        space: The fields that are searched.
        objective: Name of the figure to search by.
        folder: The directory of the search.
        **kwargs: Those of the tuner.
    """

    def __init__(
        self,
        experiment: Experiment,
        config: Any,
        space: tuning.SearchSpace,
        objective: str,
        folder: TuneDirectory,
        **kwargs: Any,
    ) -> None:
        self._experiment = experiment
        self._config = config
        self._space = space
        self._figure = objective
        self._folder = folder
        hyperparameters = keras_tuner.HyperParameters()
        space(hyperparameters)
        super().__init__(
            hyperparameters=hyperparameters,
            objective=keras_tuner.Objective(objective, FIGURES[objective].direction),
            # KerasTuner takes 0 for no seed, and draws one.
            seed=config.seed + 1,
            directory=folder.path,
            project_name=folder.PROJECT,
            **kwargs,
        )

    def train_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Returns the objective of a trial.

        Args:
            trial: The trial.
            *args: Not used.
            **kwargs: Not used.
        """
        config = trial_config(self._config, self._space, trial.hyperparameters.values)
        outcome = self._folder.read_outcome(config)
        if outcome is None:
            outcome = self._outcome(config)
            self._folder.write_outcome(config, outcome)
        if "reason" in outcome:
            raise ValueError(outcome["reason"])
        value = outcome[self._figure]
        print(f"trial {trial.trial_id}: {self._figure} {value:.6g}", file=sys.stderr)
        return {self._figure: value}

    def _outcome(self, config: Any) -> dict[str, Any]:
        keras.backend.clear_session()
        run = self._folder.trial_run(config)
        config = dataclasses.replace(config, run_dir=run, resume=RunDirectory(run).begun)
        try:
            figures = self._experiment.train_for_validation(config)
        except OSError as error:
            raise MachineError(str(error)) from error
        except Exception as error:
            if config.debug:
                traceback.print_exc()
            named = isinstance(error, ValueError)
            text = " ".join(str(error).split())
            return {"reason": text if named else f"{type(error).__name__}: {text}"}
        if self._figure not in figures:
            known = ", ".join(figures)
            return {"reason": f"--objective {self._figure}: give one of the figures {known}"}
        value = figures[self._figure]
        # Files of metrics have nothing for numbers that JSON cannot hold.
        if value is None or not math.isfinite(value):
            return {"reason": f"the validation tasks gave a {self._figure} that is not finite"}
        return figures


def trial_config(config: Any, space: tuning.SearchSpace, values: dict[str, Any]) -> Any:
    """Returns the configuration of a trial.

    Args:
        config: The configuration that trials depart from.
        space: The fields that are searched.
        values: What KerasTuner gave the trial. In hyperband its epochs stand for the meta-steps:
            every round trains from the start, so that a trial is the run of its configuration.
    """
    changes = space.decode(values)
    if "tuner/epochs" in values:
        changes["meta_steps"] = values["tuner/epochs"] * config.epoch_steps
    return dataclasses.replace(config, **changes)


def make_tuner(
    experiment: Experiment,
    config: Any,
    options: TuneOptions,
    space: tuning.SearchSpace,
    path: Path,
) -> Any:
    """Returns the tuner of a search.

    Args:
        experiment: The experiment.
        config: The configuration that trials depart from.
        options: The options of the search.
        space: The fields that are searched.
        path: The directory of the search.
    """
    arguments: dict[str, Any] = dict(max_trials=options.max_trials)
    if options.tuner == "hyperband":
        # Brackets follow one another until the trials are used up.
        epochs = config.meta_steps // config.epoch_steps
        arguments |= dict(max_epochs=epochs, hyperband_iterations=None)
    kind = type("TrialTuner", (TrialMixin, _TUNERS[options.tuner]), {})
    objective = options.objective or experiment.monitored
    return kind(experiment, config, space, objective, TuneDirectory(path), **arguments)


def check_search(experiment: Experiment, config: Any, options: TuneOptions, space: Any) -> None:
    """Checks what neither the options nor the configuration can check alone.

    Args:
        experiment: The experiment.
        config: The configuration that trials depart from.
        options: The options of the search.
        space: The fields that are searched.

    Raises:
        ValueError: For the first thing that does not fit.
    """
    if options.objective not in (None, *experiment.objectives):
        raise ValueError(
            f"--objective {options.objective}: {experiment.name} is searched by "
            f"{' or '.join(experiment.objectives)}"
        )
    if config.strategy == "multiworker":
        raise ValueError(
            "--strategy multiworker: a search runs whole trials side by side; give --workers"
        )
    if options.tuner == "hyperband":
        if "meta_steps" in space.dimensions:
            raise ValueError("--space meta_steps: hyperband sets them itself; leave it out")
        if not config.meta_steps:
            raise ValueError(f"--tuner hyperband: {flag('meta_steps')} 0 leaves it nothing to cut")
