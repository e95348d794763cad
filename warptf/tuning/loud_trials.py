"""Failures of a search that KerasTuner keeps to itself, said aloud."""

import contextlib
import io
import math
import sys
from collections.abc import Iterator
from typing import Any

import keras
import keras_tuner


class LoudTrials:
    """Makes a tuner record why a trial failed, go on, and fail itself where all trials did.

    To be named before a tuner of KerasTuner among the bases of a class. KerasTuner's own tuners end
    a search after three failures in a row, print a traceback for each, keep no reason for a trial
    whose figures are not finite, and end quietly where no trial succeeded. Here, a trial fails as
    well if one of its figures is not finite; `trial.message` is one line with the reason.

    Args:
        *args: Those of the tuner.
        **kwargs: Those of the tuner; `max_consecutive_failed_trials` is without limit by default.
    """

    oracle: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_consecutive_failed_trials", sys.maxsize)
        self._reason = ""
        self._quiet = contextlib.ExitStack()
        super().__init__(*args, **kwargs)

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Searches.

        Args:
            *args: Those of `fit`.
            **kwargs: Those of `fit`.

        Raises:
            ValueError: If all trials failed.
        """
        super().search(*args, **kwargs)  # type: ignore[misc]
        # A worker process has no oracle of its own; that of the chief knows all trials.
        if not isinstance(self.oracle, keras_tuner.Oracle):
            return
        trials = list(self.oracle.trials.values())
        if not any(trial.status == "COMPLETED" for trial in trials):
            reason = trials[-1].message if trials else "the space holds none"
            raise ValueError(f"all {len(trials)} trials failed, the last with: {reason}")

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs a trial.

        Args:
            trial: The trial.
            *args: Those of `search`.
            **kwargs: Those of `search`.

        Raises:
            keras_tuner.errors.FailedTrialError: With the reason in one line.
        """
        try:
            results = self.train_trial(trial, *args, **kwargs)
            _check_finite(results)
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            self._reason = _one_line(error)
            # KerasTuner prints a traceback for each trial that fails, before `on_trial_end`.
            self._quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
            raise keras_tuner.errors.FailedTrialError(self._reason) from error
        return results

    def train_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the results of a trial: what `run_trial` of a tuner does; to be overridden.

        Args:
            trial: The trial.
            *args: Those of `search`.
            **kwargs: Those of `search`.
        """
        return super().run_trial(trial, *args, **kwargs)  # type: ignore[misc]

    def on_trial_end(self, trial: Any) -> None:
        """Notes why a trial failed.

        Args:
            trial: The trial.
        """
        self._quiet.close()
        if trial.status == "FAILED":
            # KerasTuner's message is a traceback.
            trial.message = self._reason
            print(f"trial {trial.trial_id} failed: {self._reason}", file=sys.stderr)
        super().on_trial_end(trial)  # type: ignore[misc]


def _check_finite(results: Any) -> None:
    for name, value in _figures(results):
        if not math.isfinite(value):
            raise ValueError(f"{name} is not finite ({value}): the trial diverged")


def _figures(results: Any) -> Iterator[tuple[str, float]]:
    """Yields all figures of a trial, in any of the forms that KerasTuner accepts."""
    if isinstance(results, list):
        for each in results:
            yield from _figures(each)
    elif isinstance(results, keras.callbacks.History):
        for name, values in results.history.items():
            yield from ((name, float(value)) for value in values)
    elif isinstance(results, dict):
        yield from ((name, float(value)) for name, value in results.items())
    elif results is not None:
        yield "the objective", float(results)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
