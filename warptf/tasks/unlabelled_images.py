"""Images in one folder, of no known class."""

import os
from collections.abc import Callable

import numpy as np

from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_decoding import MAX_PIXELS
from warptf.tasks.image_files import bank_of_files, checked_format, existing_directory
from warptf.tasks.image_listing import listed_images, report_passed_over

_CLASS = "unlabelled"


def images_bank(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = 84,
    channels: int = 3,
    cache_dir: str | os.PathLike[str] | None = None,
    *,
    resize: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str], None] | None = None,
) -> tuple[ImageBank, list[str]]:
    """Read the images of one folder, as `image_folder_bank` reads those of classes.

    Args:
        directory: The folder; folders in it are not entered.
        image_size: As of `image_folder_bank`. Defaults to 84.
        channels: As of `image_folder_bank`. Defaults to 3.
        cache_dir: As of `image_folder_bank`.
        resize: As of `image_folder_bank`. Defaults to `True`.
        max_pixels: As of `image_folder_bank`. Defaults to 89 million.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The images, all of one class, and the names of their files.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no image, or images are corrupt or of a wrong size.
    """
    form = checked_format(image_size, channels, resize)
    root = existing_directory("directory", directory, "name a folder of images.")
    found = listed_images(root)
    files = found.files
    if not files:
        raise ValueError(f"`directory`: {root!r} has no image; name a folder of images.")
    report_passed_over(root, found.passed_over, found.hidden, progress)
    labels = np.zeros(len(files), np.int64)
    bank = bank_of_files(
        "images", root, files, labels, [_CLASS], form, cache_dir, progress, max_pixels
    )
    return bank, files
