"""How much of meta-training is left."""

import sys
import time
from typing import Any

import keras


class TimeToGo(keras.callbacks.Callback):
    """Prints a line after each epoch: meta-steps done, and the time that the others will take.

    Args:
        epoch_steps: Meta-steps in an epoch.
        every: Seconds between two lines, at least.
    """

    def __init__(self, epoch_steps: int, every: float = 10.0) -> None:
        super().__init__()
        self._epoch_steps = epoch_steps
        self._every = every
        self._started = self._printed = 0.0
        self._first: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Not used.
        """
        if self._first is None:
            self._first = epoch
            self._started = self._printed = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the line, unless one was printed just before or nothing is left.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Not used.
        """
        now, epochs = time.monotonic(), self.params["epochs"]
        if self._first is None or epoch + 1 == epochs or now - self._printed < self._every:
            return
        self._printed = now
        left = (now - self._started) / (epoch + 1 - self._first) * (epochs - epoch - 1)
        done, total = (epoch + 1) * self._epoch_steps, epochs * self._epoch_steps
        print(f"meta-step {done} of {total}, {duration(left)} to go", file=sys.stderr)


def duration(seconds: float) -> str:
    """Returns a time in the unit that a reader would use.

    Args:
        seconds: The time.

    >>> duration(41.4), duration(200), duration(9000)
    ('41 s', '3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
