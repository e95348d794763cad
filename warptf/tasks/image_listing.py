"""Image files of a folder, found by what they hold, and what else lies there."""

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from warptf.tasks.image_decoding import is_image
from warptf.tasks.wording import some_of

# Files that are named so have to be images; all others are looked into.
_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".webp"}
_SUFFIXES |= {".tif", ".tiff", ".avif", ".jp2", ".ppm", ".pgm"}
_HEIF_SUFFIXES = (".heic", ".heif")
# What systems put beside the files of a user.
_OF_SYSTEMS = ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found")
_MOST = 10  # Files passed over that are named.


class Listing(NamedTuple):
    """What a folder holds.

    Args:
        files: Sorted names of the image files.
        passed_over: Names of all else that a user would see, with the reason.
        hidden: How many files and folders are hidden, or of the system.
    """

    files: list[str]
    passed_over: list[str]
    hidden: int


def listed_images(folder: str) -> Listing:
    """Find the images in a folder, whatever their names' endings; folders in it are not entered.

    Args:
        folder: The folder.
    """
    files, passed_over, hidden = [], [], 0
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if is_hidden(entry.name):
            hidden += 1
            continue
        reason = _reason_against(entry)
        if reason is None:
            files.append(entry.name)
        else:
            passed_over.append(f"{entry.name} ({reason})")
    return Listing(files, passed_over, hidden)


class ClassFolders(NamedTuple):
    """The images in folders, one folder for each class.

    Args:
        files: Paths of the images, relative to the folder above, class after class.
        labels: `[N]`, the number of each file's folder.
        empty: Folders without an image, with what is in them.
    """

    files: list[str]
    labels: np.ndarray
    empty: list[str]


def images_of_classes(
    root: str,
    folders: Sequence[str],
    others: Iterable[str] = (),
    hidden: int = 0,
    progress: Callable[[str], None] | None = None,
) -> ClassFolders:
    """Find the images of all classes, and say what is passed over.

    Args:
        root: The folder above.
        folders: Names of the classes' folders.
        others: What lies beside them and is passed over, with the reason.
        hidden: How many hidden files lie beside them.
        progress: Called with a line of text; without it a warning is given.
    """
    found = [listed_images(os.path.join(root, folder)) for folder in folders]
    pairs = list(zip(folders, found, strict=True))
    within = [f"{folder}/{file}" for folder, listing in pairs for file in listing.passed_over]
    hidden += sum(listing.hidden for listing in found)
    empty = [folder for folder, listing in pairs if not listing.files]
    if not empty:
        report_passed_over(root, [*others, *within], hidden, progress)
    return ClassFolders(
        [os.path.join(folder, file) for folder, listing in pairs for file in listing.files],
        np.repeat(np.arange(len(folders)), [len(listing.files) for listing in found]),
        [_with_contents(folder, listing) for folder, listing in pairs if not listing.files],
    )


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is hidden, or one that systems add."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def report_passed_over(
    root: str, passed_over: Iterable[str], hidden: int, progress: Callable[[str], None] | None
) -> None:
    """Say how many files are passed over, and which: to `progress`, or else as a warning.

    Args:
        root: The folder.
        passed_over: Names and reasons.
        hidden: How many others are hidden.
        progress: Called with the line. Without it hidden files alone are no reason for one.
    """
    named = list(passed_over)
    if not named and (progress is None or not hidden):
        return
    hidden_files = f"{hidden} hidden file{'s' * (hidden != 1)}"
    if named:
        files = f"{len(named)} file{'s' * (len(named) != 1)}"
        line = f"passed over {files} in {root!r}: {some_of(named, _MOST)}"
        line += f"; and {hidden_files}" if hidden else ""
    else:
        line = f"passed over {hidden_files} in {root!r}"
    if progress is None:
        warnings.warn(line, stacklevel=4)
    else:
        progress(line)


def _with_contents(folder: str, listing: Listing) -> str:
    return f"{folder} ({', '.join(listing.passed_over[:2])})" if listing.passed_over else folder


def _reason_against(entry: os.DirEntry[str]) -> str | None:
    if entry.is_dir():
        return "a folder"
    suffix = os.path.splitext(entry.name)[1].lower()
    if not os.path.exists(entry.path):  # A link to nowhere; decoding names it with the damaged.
        return None if suffix in _SUFFIXES else "a link to nowhere"
    if not entry.is_file():
        return "no regular file"
    if suffix in _SUFFIXES or is_image(entry.path):
        return None
    if suffix in _HEIF_SUFFIXES:
        return "HEIC: save it as JPEG, or register a plugin of Pillow such as pillow-heif"
    return "no image"
