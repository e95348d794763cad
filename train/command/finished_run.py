"""A finished run, opened to be scored, exported or asked for predictions."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from warptf_launcher import deferral

from ..engine.learner_files import load_learner
from ..engine.run_directory import RunDirectory
from ..engine.untrained import WORDS, is_untrained
from ..experiments.registry import EXPERIMENTS, ExperimentEntry


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A run that has ended with a result.

    Args:
        directory: Its folder.
        experiment: Its experiment.
        result: Its result.
    """

    directory: RunDirectory
    experiment: ExperimentEntry
    result: dict[str, Any]

    @property
    def config(self) -> Any:
        """Its configuration.

        Raises:
            ValueError: If its file is damaged, or of another version.
        """
        return self.directory.read_config(self.experiment.config_class)

    def learner(self) -> Any:
        """Returns the learner that the run reports, and says on standard error if it is untrained.

        Raises:
            FileNotFoundError: If its file is missing.
            ValueError: If its file is damaged.
        """
        deferral.load()
        if is_untrained(self.result):
            print(f"warptf: {self.directory.path}: {WORDS} on validation", file=sys.stderr)
        return load_learner(self.directory.model, "warptf train --resume writes it again")


def open_finished_run(path: Path) -> FinishedRun:
    """Opens the folder of a finished run.

    Args:
        path: The folder.

    Raises:
        FileNotFoundError: If there is no such folder, or no finished run in it.
        ValueError: If it holds something else, or one of its files is damaged.
    """
    run = RunDirectory(path)
    if not path.is_dir():
        raise FileNotFoundError(f"RUN_DIR {path}: is not there; give the directory of a run")
    if not run.begun:
        raise FileNotFoundError(
            f"RUN_DIR {path}: has no {run.config.name}, so it is not a finished run; give the "
            f"directory of one"
        )
    run.check_kind()
    result = run.read_result()
    name = result.get("experiment")
    if name not in EXPERIMENTS:
        raise ValueError(
            f"{run.result}: is damaged, for its experiment is {name!r} and none of "
            f"{', '.join(EXPERIMENTS)}; --resume writes it again"
        )
    return FinishedRun(run, EXPERIMENTS[name], result)
