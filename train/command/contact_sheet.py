"""A sheet of images with what was predicted for them."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLUMNS = 8
_MOST = 200
_INCH = 1.5


def write_contact_sheet(
    images: np.ndarray, names: Sequence[str], confidences: Sequence[float], path: Path
) -> None:
    """Draws images in rows, the class and its confidence above each; the first 200 of them.

    Args:
        images: `[N, height, width, channels]`, `uint8`.
        names: the class predicted for each.
        confidences: its probability.
        path: the image file, written whole or not at all.
    """
    shown = min(len(images), _MOST)
    columns = min(_COLUMNS, shown)
    rows = -(-shown // columns)
    figure = Figure(figsize=(_INCH * columns, 1.2 * _INCH * rows), layout="constrained")
    # With a canvas of its own: no window system, no state of pyplot.
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, axis in enumerate(axes):
        axis.set_axis_off()
        if number < shown:
            axis.imshow(np.squeeze(images[number]), cmap="gray")
            axis.set_title(f"{names[number]}\n{100 * confidences[number]:.0f} %", fontsize=7)
    aside = path.with_name(f"writing-{path.name}")
    figure.savefig(aside)
    os.replace(aside, path)
