"""What came of a search: its trials as table, plot and TensorBoard HParams, and the best."""

import csv
import io
import shlex
from typing import Any

from warptf import plotting
from warptf.tuning import Choices, SearchSpace

from ..engine.experiment import Experiment
from ..engine.figures import FIGURES
from ..engine.run_options import flag
from ..engine.whole_files import write_json, write_text
from .directory import TuneDirectory
from .trial_tuner import trial_config

COMPLETED = "completed"
FAILED = "failed"


def trial_rows(folder: TuneDirectory, config: Any, space: SearchSpace) -> list[dict[str, Any]]:
    """Returns a row for each trial, in the order in which they began.

    Args:
        folder: The directory of the search.
        config: The configuration that trials depart from.
        space: The fields that are searched.
    """
    rows = []
    for trial in folder.keras_tuner_trials():
        own = trial_config(config, space, trial["hyperparameters"]["values"])
        outcome = folder.read_outcome(own)
        if outcome is None:
            continue
        rows.append(
            {
                "trial": int(trial["trial_id"]),
                "status": FAILED if "reason" in outcome else COMPLETED,
                **{name: getattr(own, name) for name in space.dimensions},
                "meta_steps": own.meta_steps,
                **{k: v for k, v in outcome.items() if not isinstance(v, list)},
                "run": folder.trial_run(own).name,
            }
        )
    return rows


def best_row(rows: list[dict[str, Any]], objective: str) -> dict[str, Any]:
    """Returns the best of the trials, the longest of equal ones.

    Args:
        rows: Rows of completed trials, at least one.
        objective: What they are judged by.
    """
    signed = FIGURES[objective].signed
    return max(rows, key=lambda row: (signed(row[objective]), row["meta_steps"], -row["trial"]))


def write_table(folder: TuneDirectory, rows: list[dict[str, Any]]) -> None:
    """Writes the trials as JSON and as comma-separated values.

    Args:
        folder: The directory of the search.
        rows: What `trial_rows` returned.
    """
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder.table, text.getvalue())
    write_json(folder.rows, rows)


def write_best(
    folder: TuneDirectory, experiment: Experiment, config: Any, row: dict[str, Any], objective: str
) -> list[str]:
    """Writes the configuration of the best trial, and returns its flags for `warptf train`.

    Args:
        folder: The directory of the search.
        experiment: The experiment.
        config: The configuration of the trial.
        row: Its row.
        objective: What it is the best in.
    """
    flags = flags_of(config)
    content = {
        "trial": row["trial"],
        "objective": objective,
        "value": row[objective],
        "flags": flags,
        "command": shlex.join(["warptf", "train", experiment.name, *flags]),
        "config": {k: v for k, v in config.to_json().items() if k not in config.NOT_COMPARED},
    }
    write_json(folder.best, content)
    return flags


def flags_of(config: Any) -> list[str]:
    """Returns the flags of `warptf train` that lead to a configuration.

    Args:
        config: The configuration.
    """
    preset = {name: getattr(config, name) for name in config.PRESET_FIELDS}
    defaults = type(config).from_preset(**preset)
    differing = [
        name
        for name, value in config.to_json().items()
        if name not in {"run_dir", "resume", "tensorboard", "debug"}
        and (name in preset or value != defaults.to_json()[name])
    ]
    words: list[str] = []
    for name in differing:
        value = getattr(config, name)
        if isinstance(value, bool):
            words.append(flag(name) if value else "--no-" + flag(name).removeprefix("--"))
        else:
            texts = map(str, value) if isinstance(value, tuple) else [str(value)]
            words += [flag(name), *texts]
    return words


def write_plot(
    folder: TuneDirectory, space: SearchSpace, rows: list[dict[str, Any]], objective: str
) -> None:
    """Draws the completed trials over their hyper-parameters.

    Args:
        folder: The directory of the search.
        space: The fields that are searched.
        rows: Rows of completed trials, at least one.
        objective: What they are judged by.
    """
    columns = {name: [row[name] for row in rows] for name in space.dimensions}
    if len({row["meta_steps"] for row in rows}) > 1:
        columns["meta_steps"] = [row["meta_steps"] for row in rows]
    log = [name for name, each in space.dimensions.items() if each.log]
    values = [row[objective] for row in rows]
    plotting.parallel_coordinates(columns, values, folder.plot, label=objective, log=log)


def write_hparams(
    folder: TuneDirectory, space: SearchSpace, rows: list[dict[str, Any]], objective: str
) -> None:
    """Writes the trials for the HParams page of TensorBoard.

    Args:
        folder: The directory of the search.
        space: The fields that are searched.
        rows: What `trial_rows` returned.
        objective: What trials are judged by.
    """
    # Not at the top: these are imported for this file alone.
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    with tf.summary.create_file_writer(str(folder.tensorboard)).as_default():
        api.hparams_config(
            hparams=[api.HParam(name, _domain(each)) for name, each in space.dimensions.items()],
            metrics=[api.Metric(objective, display_name=objective)],
        )
    for row in rows:
        path = str(folder.tensorboard / row["run"])
        with tf.summary.create_file_writer(path).as_default():
            api.hparams(
                {name: _plain(row[name]) for name in space.dimensions}, trial_id=str(row["trial"])
            )
            if row["status"] == COMPLETED:
                tf.summary.scalar(objective, row[objective], step=row["meta_steps"])


def _domain(dimension: Any) -> Any:
    from tensorboard.plugins.hparams import api

    if isinstance(dimension, Choices):
        return api.Discrete([_plain(value) for value in dimension.values])
    whole = isinstance(dimension.low, int) and isinstance(dimension.high, int)
    return (api.IntInterval if whole else api.RealInterval)(dimension.low, dimension.high)


def _plain(value: Any) -> Any:
    return "None" if value is None else value
