"""Paths that a command is asked to write to, checked before it begins."""

import os
from pathlib import Path


def check_output(argument: str, path: Path) -> None:
    """Checks that something can be written at a path, whose folders need not exist yet.

    Args:
        argument: What named the path on the command line.
        path: The path.

    Raises:
        OSError: If it is a folder, or its folder can be neither written nor made.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> check_output("--csv", folder / "tables" / "runs.csv")
    >>> check_output("--csv", folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    IsADirectoryError: --csv ...: is a folder; name a file
    """
    if path.is_dir():
        raise IsADirectoryError(f"{argument} {path}: is a folder; name a file")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{argument} {path}: {there} is not a folder; choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(
            f"{argument} {path}: {there} cannot be written; choose a folder that can"
        )


def check_image(argument: str, path: Path) -> None:
    """Checks that an image can be written at a path, as `check_output` does.

    Args:
        argument: What named the path on the command line.
        path: The path, whose suffix is the format.

    Raises:
        OSError: If `check_output` raises it.
        ValueError: If the suffix is not that of an image.

    >>> check_image("--plot", Path("runs.png"))
    >>> check_image("--plot", Path("runs.txt"))
    Traceback (most recent call last):
    ValueError: --plot runs.txt: '.txt' is not a suffix of images; take .png, .svg or .pdf
    """
    # Not at the top: no other command is to wait for matplotlib.
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.lower().removeprefix(".") not in FigureCanvasBase.get_supported_filetypes():
        raise ValueError(
            f"{argument} {path}: {path.suffix!r} is not a suffix of images; take .png, .svg or .pdf"
        )
    check_output(argument, path)
