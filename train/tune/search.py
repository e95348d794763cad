"""The search for hyper-parameters of an experiment."""

import dataclasses
from collections.abc import Collection
from typing import Any

from warptf_launcher.interruption import interruption

from ..engine.experiment import Experiment
from ..engine.threads import use_threads
from . import report
from .directory import TuneDirectory
from .options import TuneOptions
from .space import read_space
from .trial_tuner import check_search, make_tuner
from .workers import search_with_workers


def tune(
    experiment: Experiment, config: Any, options: TuneOptions, fixed: Collection[str] = ()
) -> dict[str, Any]:
    """Searches configurations of an experiment and writes the directory of the search.

    Args:
        experiment: The experiment.
        config: The configuration that trials depart from; its `run_dir` is the directory, by
            default a new one under `runs/`.
        options: The options of the search.
        fixed: Fields that the default space leaves out.

    Returns:
        What the command prints: one flat object.

    Raises:
        ValueError: If something does not fit, before anything is written, or if all trials failed.
        OSError: If the directory cannot be written or the data cannot be read.
    """
    config.validate()
    options.validate()
    fields = sorted(fixed)
    space = read_space(options.space, config, fields)
    check_search(experiment, config, options, space)
    words = ("tune", *experiment.run_dir_words(config))
    folder = TuneDirectory(config.chosen_run_dir(*words))
    folder.check(experiment.name, config, options)
    use_threads(config.threads_per_operation)
    if not experiment.build_tasks(config).describe()["validation"]:
        raise ValueError("no class or alphabet is left for validation; leave some")
    with folder.lock:
        folder.open(experiment.name, config, options, fields)
        interruption.resumes_by(f"--run-dir {folder.path} --resume")
        try:
            if options.workers > 1:
                search_with_workers(folder, options.workers)
            else:
                make_tuner(experiment, config, options, space, folder.path).search(verbose=0)
        finally:
            rows = report.trial_rows(folder, config, space)
            report.write_table(folder, rows)
        return _report(experiment, config, options, space, folder, rows)


def _report(
    experiment: Experiment,
    config: Any,
    options: TuneOptions,
    space: Any,
    folder: TuneDirectory,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    objective = options.objective or experiment.monitored
    completed = [row for row in rows if row["status"] == report.COMPLETED]
    if not completed:
        reason = rows[-1]["reason"] if rows else "none was begun"
        raise ValueError(f"all {len(rows)} trials failed, the last with: {reason}")
    best = report.best_row(completed, objective)
    values = {name: best[name] for name in (*space.dimensions, "meta_steps")}
    best_config = dataclasses.replace(config, **values)
    flags = report.write_best(folder, experiment, best_config, best, objective)
    report.write_plot(folder, space, completed, objective)
    if config.tensorboard:
        report.write_hparams(folder, space, rows, objective)
    return {
        "experiment": experiment.name,
        "meta_learner": config.meta_learner,
        "tuner": options.tuner,
        "objective": objective,
        "seed": config.seed,
        "trials": len(rows),
        "failed": len(rows) - len(completed),
        "best_trial": best["trial"],
        "best_value": best[objective],
        "best_configuration": " ".join(flags),
        "run_dir": str(folder.path),
    }
