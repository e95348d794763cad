"""The folder of one search: what is in it, and how it is written."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ..engine.run_lock import RunLock
from ..engine.run_options import RunOptions
from ..engine.whole_files import aside_of, read_json, write_json
from .options import TuneOptions


class TuneDirectory:
    """Reads and writes the files of one search; each file is written whole or not at all.

    The outcome of every trial lies beside its run, in a folder named for its configuration, so that
    a search that is begun again takes the outcomes it finds instead of training.

    Args:
        path: The folder. It need not exist yet.
    """

    PROJECT = "keras_tuner"

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.rows = self.path / "trials.json"
        self.table = self.path / "trials.csv"
        self.best = self.path / "best.json"
        self.plot = self.path / "plots" / "parallel_coordinates.png"
        self.tensorboard = self.path / "tensorboard"
        self.logs = self.path / "workers"
        self.lock = RunLock(self.path)

    def check(self, experiment: str, config: RunOptions, options: TuneOptions) -> None:
        """Checks that a search may use the folder, before anything else is done.

        Args:
            experiment: The name of the experiment.
            config: The configuration that trials depart from.
            options: The options of the search.

        Raises:
            FileNotFoundError: If there is no search to continue.
            ValueError: If the folder holds something else, an earlier search while `config.resume`
                is off, or another search.
        """
        if not self.config.exists():
            found = set(self.path.iterdir()) if self.path.is_dir() else set()
            if config.resume and not found:
                state = "is empty" if self.path.is_dir() else "is not there"
                raise FileNotFoundError(
                    f"--run-dir {self.path}: {state}, so there is no search to continue; correct "
                    f"the path, or leave --resume out to begin a search there"
                )
            if found - {aside_of(self.config), self.lock.path}:
                raise ValueError(
                    f"--run-dir {self.path}: the folder is not empty and holds no search; choose "
                    f"another"
                )
            return
        if not config.resume:
            raise ValueError(
                f"--run-dir {self.path}: holds a search; add --resume to continue it, or choose "
                f"another folder"
            )
        _, begun_config, begun_options = self.read_config(type(config))
        differences = config.differences(begun_config) + options.differences(begun_options)
        if differences:
            raise ValueError(
                f"--run-dir {self.path}: cannot be continued with other flags: "
                f"{'; '.join(differences)}; give those it was started with"
            )

    def open(
        self, experiment: str, config: RunOptions, options: TuneOptions, fields: list[str]
    ) -> None:
        """Makes the folder ready for a search that `check` has let pass, and takes its lock.

        Args:
            experiment: The name of the experiment.
            config: The configuration that trials depart from.
            options: The options of the search.
            fields: The fields that are fixed by a flag of their own.

        Raises:
            BlockingIOError: If another process writes it.
            OSError: If the folder cannot be made or written.
        """
        content = {
            "experiment": experiment,
            "search": dataclasses.asdict(options),
            "fixed": fields,
            "config": config.to_json(),
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
            self.check(experiment, config, options)
            self.plot.parent.mkdir(exist_ok=True)
            write_json(self.config, content)
            # What KerasTuner keeps cannot continue every search as it was; the outcomes can.
            shutil.rmtree(self.path / self.PROJECT, ignore_errors=True)
        except OSError as error:
            if error.errno is None:
                # It says all already.
                raise
            raise OSError(
                f"--run-dir {self.path}: cannot be written ({error.strerror}); choose a folder "
                f"that can"
            ) from error

    def read_config(self, config_class: Any) -> tuple[str, Any, TuneOptions]:
        """Returns the experiment, the configuration and the options of the search begun here.

        Args:
            config_class: The class of the configuration.

        Raises:
            ValueError: If the folder holds a run, or a search of another version or experiment.
        """
        content = read_json(self.config, "restore it from a copy, or begin a new search")
        if "search" not in content:
            raise ValueError(
                f"{self.path}: holds a run, not a search; warptf train --resume continues it"
            )
        begun, asked = content.get("experiment"), config_class.EXPERIMENT
        if begun != asked:
            raise ValueError(
                f"{self.path}: holds a search of {begun}, not of {asked}; choose another folder"
            )
        try:
            search = TuneOptions.from_json(content["search"])
            return content["experiment"], config_class.from_json(content["config"]), search
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.config}: is damaged, or of another version of warptf "
                f"({' '.join(str(error).split())}); restore it from a copy, or begin a new search"
            ) from error

    def trial_run(self, config: RunOptions) -> Path:
        """Returns the run directory of a trial.

        Args:
            config: The configuration of the trial.
        """
        deciding = {k: v for k, v in config.to_json().items() if k not in config.NOT_COMPARED}
        text = json.dumps(deciding, sort_keys=True)
        return self.path / "trials" / hashlib.sha256(text.encode()).hexdigest()[:12]

    def read_outcome(self, config: RunOptions) -> dict[str, Any] | None:
        """Returns what a trial gave, or `None` if it has not ended.

        Args:
            config: The configuration of the trial.
        """
        path = self._outcome(config)
        return read_json(path, "remove it to train the trial again") if path.exists() else None

    def write_outcome(self, config: RunOptions, outcome: dict[str, Any]) -> None:
        """Notes what a trial gave.

        Args:
            config: The configuration of the trial.
            outcome: Its figures, or under "reason" why it failed.
        """
        path = self._outcome(config)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, outcome)

    def keras_tuner_trials(self) -> list[dict[str, Any]]:
        """Returns what KerasTuner notes of each trial, in the order in which they began."""
        paths = (self.path / self.PROJECT).glob("trial_*/trial.json")
        trials = [read_json(path) for path in paths]
        return sorted(trials, key=lambda trial: int(trial["trial_id"]))

    def _outcome(self, config: RunOptions) -> Path:
        run = self.trial_run(config)
        # Not within the run, whose folder may hold nothing else before the run begins.
        return run.with_name(run.name + ".json")
