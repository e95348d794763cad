"""The checkpoints of a run: the last, the one before it, and the best on validation."""

import os
import sys
from pathlib import Path
from typing import Any

from .learner_files import is_intact, load_learner, save_learner
from .whole_files import written_whole

_REMEDY = "remove the folder of checkpoints, so that --resume begins the run again"


class Checkpoints:
    """Keeps the last two checkpoints of a run, and the learner that is to be reported.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest = folder / "latest.keras"
        self.previous = folder / "previous.keras"
        self.best = folder / "best.keras"
        self._latest_is_damaged = False

    def save(self, learner: Any) -> None:
        """Writes a checkpoint beside the last one, which becomes the one before.

        Args:
            learner: The learner.

        Raises:
            OSError: If it cannot be written; the last one is still there then.
        """
        with written_whole(self.latest) as aside:
            learner.save(aside)
            if self.latest.exists() and not self._latest_is_damaged:
                os.replace(self.latest, self.previous)
        self._latest_is_damaged = False

    def save_best(self, learner: Any) -> None:
        """Writes the best learner on validation.

        Args:
            learner: The learner.

        Raises:
            OSError: If it cannot be written.
        """
        save_learner(learner, self.best)

    def load(self) -> Any | None:
        """Returns the learner of the last checkpoint that is intact, or `None` if there is none.

        Raises:
            ValueError: If an intact checkpoint cannot be read.
        """
        paths = [path for path in (self.latest, self.previous) if path.exists()]
        intact = [path for path in paths if is_intact(path)]
        self._latest_is_damaged = self.latest in paths and self.latest not in intact
        if intact != paths:
            instead = f"from {intact[0].name}, the one before" if intact else "from the beginning"
            damaged = " and ".join(path.name for path in paths if path not in intact)
            print(
                f"warptf: {self.folder}: {damaged} damaged, truncated perhaps; going on {instead}",
                file=sys.stderr,
            )
        if not intact:
            return None
        return load_learner(intact[0], _REMEDY)

    def check_best(self) -> None:
        """Checks that the best learner on validation so far is there.

        Raises:
            ValueError: If it is not, or is damaged.
        """
        if not is_intact(self.best):
            raise ValueError(f"{self.best}: is missing or damaged, truncated perhaps; {_REMEDY}")

    def load_best(self) -> Any:
        """Returns the best learner on validation.

        Raises:
            FileNotFoundError: If it is not there.
            ValueError: If it is damaged or cannot be read.
        """
        return load_learner(self.best, _REMEDY)
