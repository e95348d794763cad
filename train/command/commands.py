"""The commands behind `warptf`, each a typed function whose parameters are its arguments.

What a command needs is imported where it begins, so that arguments are read at once; only
`heavy_imports` waits for TensorFlow.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from warptf_launcher.deferral import heavy_imports

from warptf.literals import Quantization

from ..engine.flag_names import naming_flags
from ..engine.run_options import flag
from ..experiments.registry import DEFAULT_EXPERIMENT, EXPERIMENTS, ExperimentEntry
from ..tune.options import TuneOptions
from .output_paths import check_image, check_output

if TYPE_CHECKING:
    from .finished_run import FinishedRun

# Fields that a run has although they are None.
_DEFAULT_IS_NONE = ("data_dir", "evaluation_ways")

RunDir = Annotated[Path, tyro.conf.arg(name="RUN_DIR")]


def train(arguments: list[str]) -> None:
    """Runs `warptf train [EXPERIMENT] …`; without an experiment, multi-shot.

    Args:
        arguments: What follows `train` on the command line.
    """
    experiment, arguments = _experiment(arguments)
    config = tyro.cli(
        experiment.config_class,
        prog=f"warptf train {experiment.name}",
        args=arguments,
        default=_defaults(experiment, arguments),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    with heavy_imports():
        program = experiment.load()
    _use_threads(config)
    print(json.dumps(program.train(program.fitted(config, _named(arguments)))))


def tune(arguments: list[str]) -> None:
    """Runs `warptf tune EXPERIMENT …`.

    Args:
        arguments: What follows `tune` on the command line.
    """
    experiment, arguments = _experiment(arguments)
    fields = [("search", TuneOptions), ("config", experiment.config_class)]
    both = dataclasses.make_dataclass("Tune", fields)
    both.__doc__ = (
        "Searches configurations of an experiment; its own flags are those of `warptf train`. "
        "The run directory is that of the whole search."
    )
    read = tyro.cli(
        both,
        prog=f"warptf tune {experiment.name}",
        args=arguments,
        default=both(TuneOptions(), _defaults(experiment, arguments)),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )
    with heavy_imports():
        from ..tune.search import tune as search

        program = experiment.load()
    print(json.dumps(search(program, read.config, read.search, _named(arguments))))


def evaluate(
    run_dir: tyro.conf.Positional[RunDir],
    data_dir: Path | None = None,
    images: Path | None = None,
    evaluation_ways: int | None = None,
    evaluation_shots: int | None = None,
    evaluation_queries: int | None = None,
    test_tasks: int | None = None,
    debug: bool = False,
) -> None:
    """Scores the learner of a finished run on its held-out tasks again.

    Args:
        run_dir: The run directory.
        data_dir: The folder that holds prepared data sets; by default that of the run.
        images: The folder of the images, where the run had one; by default that of the run.
        evaluation_ways: Classes of a test task, for few-shot runs with --head class-means; by
            default those of the run.
        evaluation_shots: Images of each class to learn from, for few-shot runs; by default those
            of the run.
        evaluation_queries: Examples to score on, of each class for images; by default those of
            the run.
        test_tasks: Number of test tasks; by default that of the run.
        debug: Show the traceback of an error instead of one line.
    """
    run = _open(run_dir)
    config = run.config
    changes = {
        "data_dir": data_dir,
        "images": images,
        "evaluation_ways": evaluation_ways,
        "evaluation_shots": evaluation_shots,
        "evaluation_queries": evaluation_queries,
        "test_tasks": test_tasks,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    for name, value in given.items():
        unset = name not in _DEFAULT_IS_NONE and getattr(config, name, None) is None
        if unset or not hasattr(config, name):
            raise ValueError(f"{flag(name)} {value}: the run has none; leave it out")
    config = dataclasses.replace(config, **given)
    config.validate()
    with heavy_imports():
        program = run.experiment.load()
    _use_threads(config)
    print(json.dumps(program.evaluate(config, run.learner(), run.directory)))


def export(
    run_dir: tyro.conf.Positional[RunDir],
    out: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(name="OUT")]],
    format: Literal["savedmodel", "litert"] = "savedmodel",
    support: Path | None = None,
    quantization: Quantization = "float32",
    steps: int | None = None,
    debug: bool = False,
) -> None:
    """Writes the learner of a finished run for use without this package.

    Args:
        run_dir: The run directory.
        out: The folder, or for LiteRT the file, to write; it must not exist.
        format: A SavedModel, which adapts and predicts; or a LiteRT (TensorFlow Lite) file, which
            predicts for one support set. A maze run has an agent, which acts, in either.
        support: For LiteRT: the support set to adapt to, an .npz file with the arrays x and y; by
            default that of the run's first test task.
        quantization: For LiteRT: the numbers to compute with. The ranges of int8 are learned from
            the support set.
        steps: For LiteRT: steps of adaptation; by default those of the run's test tasks.
        debug: Show the traceback of an error instead of one line.
    """
    if out.exists():
        raise ValueError(f"OUT {out}: exists already; choose one that does not")
    check_output("OUT", out)
    run = _open(run_dir)
    if format == "savedmodel":
        quantized = None if quantization == "float32" else quantization
        given = {"--support": support, "--steps": steps, "--quantization": quantized}
        _refuse(given, "is for --format litert; leave it out")
        run.learner().export(out)
    else:
        _export_litert(run, out, support, quantization, steps)
    print(out)


def predict(
    run_dir: tyro.conf.Positional[RunDir],
    support: Path,
    images: Path,
    out: Path,
    contact_sheet: Path | None = None,
    steps: int | None = None,
    max_pixels: int | None = None,
    debug: bool = False,
) -> None:
    """Classifies a folder of images by the learner of a finished few-shot run.

    Args:
        run_dir: The run directory.
        support: A folder with a folder of a few images for each class to tell apart; two classes
            suffice, and they need not be those of the run.
        images: The folder of the images to classify.
        out: The CSV file to write: a line for each image, with its class and the confidence.
        contact_sheet: Also draw the images with their classes into this image file.
        steps: Steps of adaptation; by default those of the run's test tasks.
        max_pixels: Images of more pixels are refused before they are decoded; by default those of
            the run.
        debug: Show the traceback of an error instead of one line.
    """
    if max_pixels is not None and max_pixels < 1:
        raise ValueError(f"--max-pixels {max_pixels}: give at least 1")
    check_output("--out", out)
    if contact_sheet is not None:
        check_image("--contact-sheet", contact_sheet)
    run = _open(run_dir)
    if run.experiment.name != "few-shot":
        raise ValueError(
            f"RUN_DIR {run_dir}: is a run of {run.experiment.name}; give one of few-shot, whose "
            "learners classify images"
        )
    with heavy_imports():
        from . import predict as prediction
    _use_threads(run.config)
    predictions = prediction.predict(run.learner(), run.config, support, images, steps, max_pixels)
    for path in (out, contact_sheet):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    prediction.write_predictions(predictions, out)
    if contact_sheet is not None:
        prediction.write_sheet(predictions, contact_sheet)
    print(out)


def compare(
    run_dirs: tyro.conf.Positional[tuple[Path, ...]],
    csv: Path | None = None,
    plot: Path | None = None,
    curves: Path | None = None,
    debug: bool = False,
) -> None:
    """Prints a table of finished runs: mean and standard deviation over seeds.

    Args:
        run_dirs: The run directories.
        csv: Also write the table to this file.
        plot: Also draw the accuracies, rewards or losses into this image file.
        curves: Also draw the rewards or losses along meta-training into this image file.
        debug: Show the traceback of an error instead of one line.
    """
    outputs = {"--csv": csv, "--plot": plot, "--curves": curves}
    asked = {name: path for name, path in outputs.items() if path is not None}
    for name, path in asked.items():
        check = check_output if name == "--csv" else check_image
        check(name, path)
    from . import compare as comparison

    rows = comparison.compare(run_dirs)
    for path in asked.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    if csv is not None:
        comparison.write_csv(rows, csv)
    if plot is not None:
        comparison.write_plot(rows, plot)
    if curves is not None:
        comparison.write_curves(run_dirs, curves)
    print(comparison.table(rows))
    for line in comparison.remarks(run_dirs):
        print(line, file=sys.stderr)


def prepare_data(
    name: tyro.conf.Positional[Literal["omniglot"]],
    archives: Path,
    data_dir: Path | None = None,
    debug: bool = False,
) -> None:
    """Builds a prepared data set from archives that are already on disk.

    Args:
        name: The data set.
        archives: The folder that holds its archives.
        data_dir: The folder to prepare it in; by default the one that the environment variable
            WARPTF_DATA_DIR names, else that of TensorFlow Datasets.
        debug: Show the traceback of an error instead of one line.
    """
    with heavy_imports():
        from warptf.tasks import prepare_omniglot
    with naming_flags({"archives": archives, "data_dir": data_dir}, "archives"):
        prepared = prepare_omniglot(archives, data_dir, lambda line: print(line, file=sys.stderr))
    print(prepared)


def _experiment(arguments: list[str]) -> tuple[ExperimentEntry, list[str]]:
    """Returns the experiment that the first word names, or the default, and the other words."""
    name = DEFAULT_EXPERIMENT
    if arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment {name!r} is unknown: choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name], arguments


def _defaults(experiment: ExperimentEntry, arguments: list[str]) -> Any:
    """Returns the configuration whose fields the command line may still change."""
    given = _given(arguments, experiment.config_class)
    return experiment.config_class.from_preset(**given)


def _named(arguments: list[str]) -> set[str]:
    """Returns the fields that have a flag on the command line."""
    flags = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    return {name.removeprefix("--").removeprefix("no-").replace("-", "_") for name in flags}


def _given(arguments: list[str], config_class: Any) -> dict[str, Any]:
    """Returns the preset fields that the command line sets to one of their choices.

    They decide the defaults of all other fields, so they are read first; whatever is wrong with
    them is left to the full reading to report.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for field in config_class.PRESET_FIELDS:
        parser.add_argument("--" + field.replace("_", "-"), "--" + field, nargs="?")
    given = vars(parser.parse_known_args(arguments)[0])
    choices = config_class.choices()
    return {name: value for name, value in given.items() if value and value in choices[name]}


def _open(run_dir: Path) -> "FinishedRun":
    from .finished_run import open_finished_run

    return open_finished_run(run_dir)


def _export_litert(
    run: "FinishedRun",
    out: Path,
    support: Path | None,
    quantization: Quantization,
    steps: int | None,
) -> None:
    with heavy_imports():
        from . import litert_export
    _use_threads(run.config)
    learner = run.learner()
    if litert_export.is_agent(learner):
        _refuse({"--support": support, "--steps": steps}, "an agent adapts to none; leave it out")
        litert_export.export_agent(learner, out, quantization)
        return
    if support is None:
        tasks = run.experiment.load().build_tasks(run.config)
        run.directory.check_split(tasks.describe())
        examples = litert_export.first_support(learner, tasks)
    else:
        examples = litert_export.read_support(support)
    batch_size = getattr(run.config, "batch_size", None)
    with naming_flags({"support": support}, None if support is None else "support"):
        litert_export.export_adapted(learner, out, quantization, examples, steps, batch_size)


def _use_threads(config: Any) -> None:
    # Not at the top, as it imports TensorFlow.
    from ..engine.threads import use_threads

    use_threads(config.threads_per_operation)


def _refuse(flags: dict[str, Any], why: str) -> None:
    for name, value in flags.items():
        if value is not None:
            raise ValueError(f"{name} {value}: {why}")
