"""The folder of one run: what is in it, and how it is written."""

import json
import math
import os
from pathlib import Path
from typing import Any

from warptf.tasks.wording import some_of

from .run_options import RunOptions


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
        self.model = self.path / "model.keras"
        self.plots = self.path / "plots"
        self.checkpoint = self.path / "checkpoints" / "latest.keras"
        self.best = self.path / "checkpoints" / "best.keras"

    @property
    def finished(self) -> bool:
        """Whether the run has ended with a result, which is the last file it writes."""
        return self.result.exists()

    def check(self, config: RunOptions) -> None:
        """Checks that a run may use the folder, before anything else is done.

        Args:
            config: The configuration of the run.

        Raises:
            ValueError: If the folder holds something else, an earlier run while `config.resume`
                is off, or a run of another configuration.
        """
        if self.config.exists():
            self._check_continuation(config)
        elif self.path.is_dir() and set(self.path.iterdir()) - {_aside(self.config)}:
            raise ValueError(
                f"--run-dir {self.path}: the folder is not empty and holds no run; choose another"
            )

    def check_split(self, split: dict[str, list[str]]) -> None:
        """Checks that the data still have the classes that the run began with.

        Args:
            split: Names for "train", "validation" and "test".

        Raises:
            ValueError: If they have not: classes to be tested may have been meta-trained.
        """
        if not self.split.exists():
            return
        begun = self.read_json(self.split)
        for part, names in split.items():
            other = sorted(set(names) ^ set(begun[part]))
            if other or list(names) != begun[part]:
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
            OSError: If the folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # First: a folder that holds anything else without it is taken for somebody else's.
            if not self.config.exists():
                self.write_json(self.config, config.to_json())
            if not self.split.exists():
                self.write_json(self.split, split)
            for folder in (self.plots, self.checkpoint.parent):
                folder.mkdir(exist_ok=True)
            self.metrics.touch()
        except OSError as error:
            raise OSError(
                f"--run-dir {self.path}: cannot be written ({error.strerror}); choose a folder "
                f"that can"
            ) from error

    def _check_continuation(self, config: RunOptions) -> None:
        if not config.resume:
            state = "a finished run" if self.finished else "an unfinished run"
            raise ValueError(
                f"--run-dir {self.path}: holds {state}; add --resume to continue it, or choose "
                f"another folder"
            )
        differences = config.differences(type(config).from_json(self.read_json(self.config)))
        if differences:
            raise ValueError(
                f"--run-dir {self.path}: cannot be continued with another configuration: "
                f"{'; '.join(differences)}; give the flags it was started with"
            )

    def read_json(self, path: Path) -> Any:
        """Returns the content of one of the run's JSON files.

        Args:
            path: One of the attributes of this object.

        Raises:
            FileNotFoundError: If the run has not written that file.
            ValueError: If the file is not JSON.
        """
        if not path.exists():
            raise FileNotFoundError(
                f"{self.path}: has no {path.name}, so it is not a finished run; give the run "
                f"directory of one, or finish it with --resume"
            )
        return read_json(path)

    def write_json(self, path: Path, value: Any) -> None:
        """Writes one of the run's JSON files.

        Args:
            path: One of the attributes of this object.
            value: What to write.
        """
        write_json(path, value)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Adds one line to `metrics.jsonl`.

        Args:
            row: The line; its `step` is the number of meta-steps done.
        """
        with self.metrics.open("a") as file:
            file.write(json.dumps(_as_json(row), allow_nan=False) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Returns the complete lines of `metrics.jsonl`; a line cut off by a kill is left out."""
        lines = self.metrics.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

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
        """
        rows = [row for row in self.read_metrics() if row["step"] <= step]
        write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))

    def training_seconds(self) -> float:
        """Returns the seconds of all recorded epochs and evaluations, continuations included."""
        return sum(row.get("seconds", 0.0) for row in self.read_metrics())

    def save_learner(self, learner: Any, path: Path) -> None:
        """Writes a learner, with its optimizers and its position, as one `.keras` file.

        Args:
            learner: The `keras.Model` to save.
            path: `self.model`, `self.checkpoint` or `self.best`.
        """
        aside = _aside(path)
        learner.save(aside)
        os.replace(aside, path)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Args:
        path: The file.
        text: Its content.
    """
    aside = _aside(path)
    aside.write_text(text)
    os.replace(aside, path)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Args:
        path: The file.

    Raises:
        ValueError: If the file is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is not JSON ({error}); restore the file") from error


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all.

    Args:
        path: The file.
        value: What to write.
    """
    write_text(path, json.dumps(_as_json(value), indent=2, allow_nan=False) + "\n")


def _aside(path: Path) -> Path:
    """Returns where a file is written before it is moved into place."""
    return path.with_name("writing-" + path.name)


def _as_json(value: Any) -> Any:
    """Returns a value with `None` for numbers that JSON cannot hold, such as a diverged loss."""
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
