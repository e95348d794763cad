"""Figures of the experiments, each written to an image file."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def learning_curves(curves: Mapping[int, Sequence[float]], path: str | os.PathLike[str]) -> None:
    """Draws the training accuracy over adaptation steps, one line per stage of meta-training.

    Args:
        curves: For each number of meta-steps done, the accuracy at each of the K adaptation steps,
            the mean over held-out tasks.
        path: The image file to write; its suffix gives the format.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "curves.png"
    >>> learning_curves({0: [0.05, 0.2, 0.4], 10: [0.1, 0.5, 0.8]}, path)
    >>> path.exists()
    True
    """
    import matplotlib

    figure, axes = _figure()
    colors = matplotlib.colormaps["viridis"]
    for rank, step in enumerate(sorted(curves)):
        label = "before meta-training" if step == 0 else f"after {step} meta-steps"
        color = colors(rank / max(len(curves) - 1, 1))
        axes.plot(range(1, len(curves[step]) + 1), curves[step], color=color, label=label)
    axes.set(
        xlabel="adaptation step",
        ylabel="training accuracy",
        title="Held-out tasks",
        ylim=(0, 1),
    )
    if curves:
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _write(figure, path)


def meta_training(
    steps: Sequence[int],
    losses: Sequence[float],
    path: str | os.PathLike[str],
    *,
    ylabel: str = "loss",
    levels: Mapping[str, float] | None = None,
) -> None:
    """Draws a figure of meta-training over meta-steps.

    Args:
        steps: Numbers of meta-steps.
        losses: The figure at each of them.
        path: The image file to write; its suffix gives the format.
        ylabel: What the figure is.
        levels: Values at which to draw a horizontal line, by what they are.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "loss.png"
    >>> meta_training([5, 10], [2.9, 2.4], path)
    >>> path.exists()
    True
    """
    figure, axes = _figure()
    axes.plot(steps, losses, marker="." if len(steps) < 30 else "")
    _draw_levels(axes, levels)
    if levels:
        axes.legend(fontsize="small")
    axes.set(xlabel="meta-step", ylabel=ylabel, title="Meta-training")
    _write(figure, path)


def lines(
    values: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: str | os.PathLike[str],
    *,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draws one line per group, from zero upwards.

    Args:
        values: For each group, where it was measured and what was found there.
        path: The image file to write; its suffix gives the format.
        xlabel: What it was measured over.
        ylabel: What was measured.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lines.png"
    >>> lines({"maml": ([5, 10], [1.0, 2.0])}, path, xlabel="steps", ylabel="MiB")
    >>> path.exists()
    True
    """
    figure, axes = _figure()
    for name, (x, y) in values.items():
        axes.plot(x, y, marker="o", label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_ylim(bottom=0)
    axes.legend()
    _write(figure, path)


def bands(
    values: Mapping[str, ArrayLike],
    path: str | os.PathLike[str],
    *,
    xlabel: str,
    ylabel: str,
    marks: Sequence[float] = (),
    log: bool = False,
    steps: Mapping[str, ArrayLike] | None = None,
    levels: Mapping[str, float] | None = None,
) -> None:
    """Draws the mean of each group over steps, with the band between its quartiles.

    Args:
        values: For each group `[N, K]`, one row for each of `N` tasks or seeds.
        path: The image file to write; its suffix gives the format.
        xlabel: What the steps are.
        ylabel: What was measured.
        marks: Steps at which to draw a vertical line.
        log: Whether the values, all above 0, are drawn on a logarithmic scale.
        steps: For each group the steps `[K]`; 0 to `K` - 1 if `None`.
        levels: Values at which to draw a horizontal line, by what they are.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "bands.png"
    >>> bands({"maml": [[3.0, 1.0], [2.0, 0.5]]}, path, xlabel="step", ylabel="loss")
    >>> path.exists()
    True
    """
    figure, axes = _figure()
    for name, group in values.items():
        rows = np.asarray(group)
        x = np.arange(rows.shape[1]) if steps is None else np.asarray(steps[name])
        (line,) = axes.plot(x, rows.mean(0), label=name)
        low, high = np.quantile(rows, (0.25, 0.75), axis=0)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    _draw_levels(axes, levels)
    for mark in marks:
        axes.axvline(mark, color="gray", linewidth=0.5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    _write(figure, path)


def fitted_curves(
    x: ArrayLike, truth: ArrayLike, fitted: ArrayLike, path: str | os.PathLike[str]
) -> None:
    """Draws curves as they were fitted after each of several stages, against the truth.

    The height of the plots is that of the truth and half as much above and below it.

    Args:
        x: `[P]`, the points.
        truth: `[N, P]`, the values of `N` curves there.
        fitted: `[N, S, P]`, what is predicted before any stage and after each of `S` - 1 of them.
        path: The image file to write; its suffix gives the format.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "fits.png"
    >>> fitted_curves([0.0, 1.0], [[2.0, 3.0]], [[[0.0, 0.0], [2.0, 2.5]]], path)
    >>> path.exists()
    True
    """
    from matplotlib.figure import Figure

    stages = np.asarray(fitted)
    rows, columns = stages.shape[:2]
    figure = Figure(figsize=(2.2 * columns, 2.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False)
    for curve, (target, predictions) in enumerate(zip(np.asarray(truth), stages, strict=True)):
        margin = 0.5 * np.ptp(target)
        grid[curve, 0].set_ylim(target.min() - margin, target.max() + margin)
        for stage, prediction in enumerate(predictions):
            axes = grid[curve, stage]
            axes.plot(x, target, color="gray", linestyle="--", label="truth")
            axes.plot(x, prediction, label="fitted")
            axes.grid(alpha=0.3)
            if curve == 0:
                axes.set_title(f"after {stage}" if stage else "at the start", fontsize="small")
    grid[0, 0].legend(fontsize="x-small")
    _write(figure, path)


def means_with_deviations(
    means: Mapping[str, float],
    deviations: Mapping[str, float],
    path: str | os.PathLike[str],
    *,
    xlabel: str = "accuracy",
) -> None:
    """Draws one bar per group with its standard deviation, the first group on top.

    Args:
        means: The mean of each group.
        deviations: The standard deviation of each group, by the same names.
        path: The image file to write; its suffix gives the format.
        xlabel: What the means are of.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "bars.png"
    >>> means_with_deviations({"leap": 0.6, "none": 0.4}, {"leap": 0.02, "none": 0.05}, path)
    >>> path.exists()
    True
    """
    figure, axes = _figure()
    names = list(means)
    axes.barh(names, [means[name] for name in names], xerr=[deviations[name] for name in names])
    axes.invert_yaxis()
    axes.set(xlabel=xlabel)
    _write(figure, path)


def parallel_coordinates(
    columns: Mapping[str, Sequence[Any]],
    values: Sequence[float],
    path: str | os.PathLike[str],
    *,
    label: str,
    log: Collection[str] = (),
) -> None:
    """Draws one line per trial across one axis per hyper-parameter, coloured by what came of it.

    Args:
        columns: For each hyper-parameter its value in each of `N` trials. Numbers are placed by
            size, anything else side by side.
        values: `[N]`, what each trial came to.
        path: The image file to write; its suffix gives the format.
        label: What the values are.
        log: Hyper-parameters, all above 0, whose axes are logarithmic.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "trials.png"
    >>> columns = {"rate": [0.01, 0.1], "warp": ["scale", "conv3x3"]}
    >>> parallel_coordinates(columns, [0.5, 0.8], path, label="accuracy", log=["rate"])
    >>> path.exists()
    True
    """
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 1.5 * len(columns), 4.0), layout="constrained")
    axes = figure.add_subplot()
    heights = np.empty((len(values), len(columns)))
    for place, (name, column) in enumerate(columns.items()):
        heights[:, place], ticks = _heights(column, name in log)
        axes.axvline(place, color="gray", linewidth=0.8)
        for height, text in ticks.items():
            axes.text(place + 0.03, height, text, fontsize="x-small", va="center")
    colors = ScalarMappable(Normalize(min(values), max(values)), matplotlib.colormaps["viridis"])
    for color, line in zip(colors.to_rgba(np.asarray(values)), heights, strict=True):
        axes.plot(range(len(columns)), line, color=color, marker=".", alpha=0.8)
    axes.set_xticks(range(len(columns)), list(columns), fontsize="small")
    axes.set(yticks=[], xlim=(-0.2, len(columns) - 0.4))
    figure.colorbar(colors, ax=axes, label=label)
    _write(figure, path)


def _heights(column: Sequence[Any], log: bool) -> tuple[np.ndarray, dict[float, str]]:
    """Returns where the values of an axis stand between 0 and 1, and what is written beside it."""
    if any(isinstance(value, str | bool) or value is None for value in column):
        kinds = sorted({str(value) for value in column})
        places = {kind: (rank + 0.5) / len(kinds) for rank, kind in enumerate(kinds)}
        heights = np.array([places[str(value)] for value in column])
        return heights, {place: kind for kind, place in places.items()}
    numbers = np.asarray(column, "float64")
    scaled = np.log(numbers) if log else numbers
    span = np.ptp(scaled)
    heights = (scaled - scaled.min()) / span if span else np.full(len(scaled), 0.5)
    ends = {int(np.argmin(numbers)), int(np.argmax(numbers))}
    return heights, {float(heights[end]): f"{numbers[end]:.4g}" for end in ends}


def _draw_levels(axes: Any, levels: Mapping[str, float] | None) -> None:
    for rank, (name, level) in enumerate((levels or {}).items()):
        style = ("--", ":", "-.")[rank % 3]
        axes.axhline(level, color="gray", linestyle=style, label=name)


def _figure() -> tuple[Any, Any]:
    """Returns a figure of its own, with one pair of axes and no window."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _write(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a figure whole or not at all."""
    path = Path(path)
    aside = path.with_name("writing-" + path.name)
    figure.savefig(aside, dpi=150)
    os.replace(aside, path)
