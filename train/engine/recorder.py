"""What is written while a learner trains: metrics, curves on held-out tasks, checkpoints."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .run_directory import RunDirectory
from .selection import chosen


class Recorder(keras.callbacks.Callback):
    """Writes a line of metrics per epoch, evaluates and saves at intervals.

    A checkpoint is written after every line that belongs to its step, so a run that continues from
    it finds all earlier lines and drops only later ones.

    Args:
        run: Where to write.
        evaluate: Returns the figures of the validation tasks for the present learner, or `None`
            where there are no such tasks.
        evaluate_every: Epochs between two evaluations; 0 for none.
        checkpoint_every: Epochs between two checkpoints; 0 for none.
        step: Meta-steps done before training starts.
        monitored: The figure that the best learner on validation is best in.
        keep_best: Whether to keep it.
    """

    def __init__(
        self,
        run: RunDirectory,
        evaluate: Callable[[], dict[str, Any] | None],
        evaluate_every: int,
        checkpoint_every: int,
        step: int = 0,
        monitored: str = "accuracy",
        keep_best: bool = False,
    ) -> None:
        super().__init__()
        self._run = run
        self._evaluate = evaluate
        self._evaluate_every = evaluate_every
        self._checkpoint_every = checkpoint_every
        self._first_step = step
        self._monitored = monitored
        self._keep_best = keep_best
        self._epoch_started = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Evaluates the untrained learner, the start of every learning curve."""
        if self._first_step == 0 and self._evaluate_every:
            self._record_evaluation(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock of the epoch.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Not used.
        """
        self._epoch_started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes what the epoch gave.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Means of the epoch, by name.
        """
        done, step = epoch + 1, int(self.model.meta_step.value.numpy())
        means = {name: float(value) for name, value in (logs or {}).items()}
        # In float16 the first steps find out by how much losses can be scaled.
        scales = (self.model.loss_scale or 1.0) > 1.0
        if not scales and not np.isfinite(list(means.values())).all():
            raise ValueError(
                f"meta-training came upon numbers that are not finite by meta-step {step} "
                f"({means}): lower the rates (--inner-rate, --meta-rate and their like), or look "
                "for such numbers in the data"
            )
        if not scales and means.get("diverged") == 1:
            raise ValueError(
                f"every task of the epoch that ends with meta-step {step} diverged and was left "
                "out, so that nothing is learned any more: lower the rates (--inner-rate, "
                "--meta-rate), or let the latter fall (--schedule cosine)"
            )
        seconds = round(time.monotonic() - self._epoch_started, 3)
        self._run.append_metrics({"kind": "training", "step": step, "seconds": seconds, **means})
        last = done == self.params["epochs"]
        if self._evaluate_every and (done % self._evaluate_every == 0 or last):
            figures = self._record_evaluation(step)
            if logs is not None:
                # Callbacks that follow find these among the figures of the epoch.
                logs.update(figures)
        if self._checkpoint_every and done % self._checkpoint_every == 0:
            self._run.checkpoints.save(self.model)

    def _record_evaluation(self, step: int) -> dict[str, float]:
        """Writes the figures on validation tasks, and returns them as Keras names such."""
        started = time.monotonic()
        figures = self._evaluate()
        if figures is None:
            return {}
        seconds = round(time.monotonic() - started, 3)
        row = {"kind": "evaluation", "step": step, "seconds": seconds, **figures}
        if self._keep_best and chosen([*self._run.evaluations(), row], self._monitored) is row:
            self._run.checkpoints.save_best(self.model)
        self._run.append_metrics(row)
        numbers = {name: value for name, value in figures.items() if isinstance(value, float)}
        return {f"val_{name}": value for name, value in numbers.items()}
