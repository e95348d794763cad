"""The folder of one run: what is in it, and how it is written."""

import json
import os
from pathlib import Path
from typing import Any

from .checkpoints import Checkpoints
from .learner_files import is_intact
from .run_lock import RunLock
from .run_options import RunOptions
from .whole_files import as_json, aside_of, read_json, read_text, unwritable, write_json, write_text

_ANEW = "remove it and the folder checkpoints, so that --resume begins the run again"
_AGAIN = "--resume writes it again"


class RunDirectory:
    """Reads and writes the files of one run; each file is written whole or not at all.

    Args:
        path: The folder. It need not exist yet.

    >>> import tempfile
    >>> run = RunDirectory(Path(tempfile.mkdtemp()))
    >>> run.append_metrics({"kind": "training", "step": 1, "loss": 2.5})
    >>> run.append_metrics({"kind": "training", "step": 2, "loss": 2.0})
    >>> run.truncate_metrics(1)
    >>> run.read_metrics()
    [{'kind': 'training', 'step': 1, 'loss': 2.5}]
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.split = self.path / "split.json"
        self.metrics = self.path / "metrics.jsonl"
        self.result = self.path / "result.json"
        self.scores = self.path / "scores.json"
        self.untrained = self.path / "scores_untrained.json"
        self.model = self.path / "model.keras"
        self.plots = self.path / "plots"
        self.drawn = self.plots / "drawn.json"
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self.lock = RunLock(self.path)

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run."""
        return self.config.exists()

    @property
    def finished(self) -> bool:
        """Whether the run has ended with a result, which is the last file it writes."""
        return self.result.exists()

    def check(self, config: RunOptions) -> None:
        """Checks that a run may use the folder, before anything else is done.

        Args:
            config: The configuration of the run.

        Raises:
            FileNotFoundError: If there is no run to continue.
            ValueError: If the folder holds something else, an earlier run while `config.resume`
                is off, or a run of another configuration.
        """
        if self.begun:
            self._check_continuation(config)
            return
        found = set(self.path.iterdir()) if self.path.is_dir() else set()
        # A run that was killed as it began.
        left = {aside_of(self.config), self.lock.path}
        if found - left:
            raise ValueError(
                f"--run-dir {self.path}: the folder is not empty and holds no run; choose another"
            )
        if config.resume and not found:
            state = "is empty" if self.path.is_dir() else "is not there"
            raise FileNotFoundError(
                f"--run-dir {self.path}: {state}, so there is no run to continue; correct the "
                f"path, or leave --resume out to begin a run there"
            )

    def claim(self, config: RunOptions) -> None:
        """Makes this process the only one that writes the folder, if the folder is there already.

        Args:
            config: The configuration of the run.

        Raises:
            BlockingIOError: If another process writes it.
            OSError: If it cannot be written.
            ValueError: As for `check`, of what another process has written meanwhile.
        """
        if self.path.is_dir():
            self.lock.acquire()
            self.check(config)

    def check_split(self, split: dict[str, list[str]]) -> None:
        """Checks that the data still have the classes that the run began with.

        Args:
            split: Names for "train", "validation" and "test".

        Raises:
            ValueError: If they have not: classes to be tested may have been meta-trained.
        """
        if not self.split.exists():
            return
        # Not at the top: what runs have reported is read without TensorFlow.
        from warptf.tasks.names import normal_name
        from warptf.tasks.wording import some_of

        begun = read_json(self.split)
        for part in split:
            # A run of an earlier version may have kept names as they stand on the disk.
            before = [normal_name(name) for name in begun.get(part, ())]
            names = [normal_name(name) for name in split[part]]
            other = sorted(set(names) ^ set(before))
            if other or names != before:
                raise ValueError(
                    f"{self.split}: the data have other {part} classes than the run began with "
                    f"({some_of(other or names)}); restore them, or start a new run"
                )

    def open(self, config: RunOptions, split: dict[str, list[str]]) -> None:
        """Makes the folder ready for a run that `check` has let pass.

        Args:
            config: The configuration of the run.
            split: Names for "train", "validation" and "test".

        Raises:
            BlockingIOError: If another process writes it.
            OSError: If the folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.claim(config)
            # First: a folder that holds anything else without it is taken for somebody else's.
            if not self.begun:
                write_json(self.config, {"experiment": config.EXPERIMENT, **config.to_json()})
            if not self.split.exists():
                write_json(self.split, split)
            for folder in (self.plots, self.checkpoints.folder):
                folder.mkdir(exist_ok=True)
            self.metrics.touch()
        except OSError as error:
            if error.errno is None:
                # It says all already.
                raise
            raise OSError(
                f"--run-dir {self.path}: cannot be written ({error.strerror}); choose a folder "
                f"that can"
            ) from error

    def _check_continuation(self, config: RunOptions) -> None:
        begun = self.read_config(type(config))
        if not config.resume:
            state = "a finished run" if self.finished else "an unfinished run"
            raise ValueError(
                f"--run-dir {self.path}: holds {state}; add --resume to continue it, or choose "
                f"another folder"
            )
        differences = config.differences(begun)
        if differences:
            raise ValueError(
                f"--run-dir {self.path}: cannot be continued with another configuration: "
                f"{'; '.join(differences)}; give the flags it was started with"
            )

    def read_config(self, config_class: Any) -> Any:
        """Returns the configuration of the run.

        Args:
            config_class: The class of its configuration.

        Raises:
            ValueError: If it is damaged, or of another experiment.
        """
        content = self.check_kind()
        try:
            return config_class.from_json(content)
        except ValueError as error:
            raise ValueError(f"{self.config}: {error}") from error

    def check_kind(self) -> dict[str, Any]:
        """Returns what the configuration holds, which must be that of a run.

        Raises:
            ValueError: If it is damaged, or that of a search.
        """
        content = read_json(self.config, "restore it from a copy, or start a new run")
        if "search" in content:
            raise ValueError(
                f"{self.path}: holds a search, not a run; warptf tune --resume continues it, and "
                f"{self.path / 'trials'} holds its runs"
            )
        return content

    def read_result(self) -> dict[str, Any]:
        """Returns the result of a finished run.

        Raises:
            FileNotFoundError: If the run has not ended.
            ValueError: If its file is damaged.
        """
        if not self.finished:
            raise FileNotFoundError(
                f"{self.path}: has no {self.result.name}, so it is not a finished run; give the "
                f"directory of one, or finish it with --resume"
            )
        return read_json(self.result, _AGAIN)

    def read_scores(self) -> dict[str, Any]:
        """Returns the scores of each held-out task.

        Raises:
            OSError: If they have not been written.
            ValueError: If their file is damaged.
        """
        return read_json(self.scores, _AGAIN)

    def missing(self) -> list[str]:
        """Returns which files of a finished run are missing or damaged, that can be had again."""
        found = {
            self.split.name: self.split.exists(),
            self.result.name: _is_json(self.result),
            self.scores.name: _is_json(self.scores),
            self.model.name: is_intact(self.model),
            self.plots.name: self._are_drawn(),
        }
        return [name for name, is_there in found.items() if not is_there]

    def note_plots(self) -> None:
        """Notes which plots there are, so that one that is missing later is missed."""
        names = sorted({path.name for path in self.plots.iterdir()} - {self.drawn.name})
        write_json(self.drawn, {"plots": names})

    def _are_drawn(self) -> bool:
        if not _is_json(self.drawn):
            # Earlier versions took no note.
            return not self.drawn.exists() and self.plots.is_dir() and any(self.plots.iterdir())
        return all((self.plots / name).exists() for name in read_json(self.drawn)["plots"])

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Adds one line to `metrics.jsonl`.

        Args:
            row: The line; its `step` is the number of meta-steps done.

        Raises:
            OSError: If it cannot be written.
        """
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(as_json(row), allow_nan=False) + "\n")
                file.flush()
                # A checkpoint that comes after it must not outlive it.
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self.metrics, error) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """Returns the complete lines of `metrics.jsonl`; a line cut off by a kill is left out.

        Raises:
            OSError: If it cannot be read.
            ValueError: If a complete line is damaged.
        """
        lines = read_text(self.metrics).splitlines(keepends=True)
        rows = []
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                continue
            row = _row(line)
            if row is None:
                raise ValueError(f"{self.metrics}: line {number} is damaged; {_ANEW}")
            rows.append(row)
        return rows

    def trainings(self) -> list[dict[str, Any]]:
        """Returns the lines of `metrics.jsonl` that hold figures of meta-training."""
        return [row for row in self.read_metrics() if row["kind"] == "training"]

    def evaluations(self) -> list[dict[str, Any]]:
        """Returns the lines of `metrics.jsonl` that hold figures on validation tasks."""
        return [row for row in self.read_metrics() if row["kind"] == "evaluation"]

    def truncate_metrics(self, step: int) -> None:
        """Drops what was measured after a checkpoint, since it will be measured again.

        Args:
            step: The number of meta-steps behind the checkpoint; below 0 drops every line.

        Raises:
            ValueError: If what was measured before the checkpoint is missing, or damaged.
        """
        if step < 0:
            write_text(self.metrics, "")
            return
        rows = [row for row in self.read_metrics() if row["step"] <= step]
        if step and (not rows or rows[-1]["step"] != step):
            raise ValueError(
                f"{self.metrics}: ends before the checkpoint of meta-step {step}; restore it, or "
                f"{_ANEW}"
            )
        write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))

    def training_seconds(self) -> float:
        """Returns the seconds of all recorded epochs and evaluations, continuations included."""
        return sum(row.get("seconds", 0.0) for row in self.read_metrics())


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except (OSError, ValueError):
        return False
    return True


def _row(line: str) -> dict[str, Any] | None:
    """Returns a line of metrics, or `None` if it is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        return None
    return row if isinstance(row.get("step"), int) else None
