"""A table of finished runs: mean and deviation over seeds."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Not `from warptf`, which would import TensorFlow.
import warptf.plotting as plotting

from ..engine.figures import FIGURES, RANKING
from ..engine.run_directory import RunDirectory
from ..engine.run_options import RunOptions, flag
from ..engine.untrained import SUFFIX, WORDS, is_untrained
from ..engine.whole_files import write_text
from .finished_run import open_finished_run

_LEVELS = {"reward_optimal": "shortest paths", "reward_random": "random actions"}
_NOT_GROUPED = RunOptions.NOT_COMPARED | {"seed"}


def compare(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Returns one row per method and configuration, the best first.

    Where runs tell what the learner that they began with scores, it has a row of its own.

    Args:
        paths: Run directories; those that differ in their seed alone share a row.

    Raises:
        FileNotFoundError: If a run has not finished.
        ValueError: If there is no run, or its files are damaged.
    """
    rows = []
    for label, runs in _groups(paths).items():
        results = [result for _, result in runs]
        rows.append({"run": label, "seeds": len(runs), **_means(results)})
        untrained = _means([_untrained(result) for result in results])
        if untrained:
            rows.append({"run": f"{label}, untrained", "seeds": len(runs), **untrained})
    return sorted(rows, key=_rank)


def remarks(paths: Sequence[Path]) -> list[str]:
    """Returns a line for each method and configuration that meta-training did not help.

    Args:
        paths: Run directories, as for `compare`.
    """
    lines = []
    for label, runs in _groups(paths).items():
        count = sum(is_untrained(result) for _, result in runs)
        if count:
            lines.append(f"{label}: {WORDS} on validation in {count} of {len(runs)} runs")
    return lines


def write_curves(paths: Sequence[Path], path: Path) -> None:
    """Draws the reward along meta-training, or the loss of runs that earn none.

    One line per method and configuration, the mean over seeds, with the band between the quartiles
    of the seeds; of seeds that went on for longer than others, what all have.

    Args:
        paths: Run directories, as for `compare`.
        path: The image file.

    Raises:
        FileNotFoundError: If a run has not finished.
        ValueError: If there is no run, or nothing was meta-trained, or the runs have no figure in
            common.
    """
    groups = _groups(paths)
    rows = {label: [run.trainings() for run, _ in runs] for label, runs in groups.items()}
    every = [row for seeds in rows.values() for training in seeds for row in training[:1]]
    if len(every) < len(paths):
        raise ValueError("--curves: a run has no meta-training to draw; leave it out")
    common = [name for name in ("reward", "loss") if all(name in row for row in every)]
    if not common:
        raise ValueError("--curves: the runs have no figure in common; draw them one by one")
    values, steps = {}, {}
    for label, seeds in rows.items():
        shortest = min(map(len, seeds))
        values[label] = [[row[common[0]] for row in training[:shortest]] for training in seeds]
        steps[label] = [row["step"] for row in seeds[0][:shortest]]
    result = next(iter(groups.values()))[0][1]
    levels = {label: result[name] for name, label in _LEVELS.items() if name in result}
    plotting.bands(values, path, xlabel="meta-step", ylabel=common[0], steps=steps, levels=levels)


def _groups(paths: Sequence[Path]) -> dict[str, list[tuple[RunDirectory, dict[str, Any]]]]:
    """Returns the runs of each method and configuration, with their results, by what it is."""
    if not paths:
        raise ValueError("RUN_DIR: no run to compare; name at least one run directory")
    groups: dict[tuple[tuple[str, Any], ...], list[tuple[RunDirectory, dict[str, Any]]]] = {}
    for path in paths:
        run = open_finished_run(path)
        # As the file has it: runs of versions that knew other fields can be compared too.
        written = run.directory.check_kind()
        config = {**run.experiment.config_class.ADDED, **written, "experiment": run.experiment.name}
        key = tuple(sorted((k, _hashable(v)) for k, v in config.items() if k not in _NOT_GROUPED))
        groups.setdefault(key, []).append((run.directory, run.result))
    return dict(zip(_labels(list(groups)), groups.values(), strict=True))


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the rows as a Markdown table.

    Args:
        rows: What `compare` returned.
    """
    names = [name for name in FIGURES if any(name in row for row in rows)]
    head = ["run", "seeds", *names]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [str(row["run"]), str(row["seeds"])]
        for name in names:
            show = FIGURES[name].show
            known = name in row
            cells.append(f"{show(row[name])} ± {show(row[name + '_std'])}" if known else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Writes the rows as comma-separated values.

    Args:
        rows: What `compare` returned.
        path: The file.
    """
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws the accuracies as bars, or the rewards or losses of runs that have none.

    Args:
        rows: What `compare` returned.
        path: The image file.

    Raises:
        ValueError: If no figure is common to all runs.
    """
    common = [name for name in RANKING if all(name in row for row in rows)]
    if not common:
        raise ValueError("--plot: the runs have no figure in common; draw experiments one by one")
    means = {row["run"]: row[common[0]] for row in rows}
    deviations = {row["run"]: row[common[0] + "_std"] for row in rows}
    plotting.means_with_deviations(means, deviations, path, xlabel=common[0])


def _means(results: list[dict[str, Any]]) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in FIGURES:
        # Which figures there are depends on the experiment.
        if any(name not in result for result in results):
            continue
        values = np.array([result[name] for result in results], "float64")
        means[name] = float(values.mean())
        means[name + "_std"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return means


def _untrained(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures of the learner that a run began with, under their own names."""
    named = {name: result.get(name + SUFFIX) for name in FIGURES}
    return {name: value for name, value in named.items() if value is not None}


def _rank(row: dict[str, Any]) -> tuple[bool, float]:
    figure = FIGURES[next(name for name in RANKING if name in row)]
    return (figure.direction == "min", -figure.signed(row[figure.name]))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _labels(keys: list[tuple[tuple[str, Any], ...]]) -> list[str]:
    """Returns the method of each group, with the fields in which groups of one method differ."""
    configs = [dict(key) for key in keys]
    experiments = {config["experiment"] for config in configs}
    labels = []
    for config in configs:
        kind = (config["experiment"], config["meta_learner"])
        method = " ".join(kind) if len(experiments) > 1 else kind[1]
        alike = [c for c in configs if (c["experiment"], c["meta_learner"]) == kind]
        varied = [
            f"{flag(name)} {value}"
            for name, value in config.items()
            if any(other.get(name) != value for other in alike)
        ]
        labels.append(" ".join([method, *varied]))
    return labels
