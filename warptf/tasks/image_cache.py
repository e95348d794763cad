"""Images that are decoded once and kept."""

import contextlib
import hashlib
import itertools
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from warptf.tasks.cache_folder import cache_folder
from warptf.tasks.image_bank import ImageBank, write_image_bank

_VERSION = 2  # Of what is kept; to be raised when images are decoded in another way.


class Content(NamedTuple):
    """What a bank is to hold.

    Args:
        images: One image `[height, width, channels]` after another, `uint8`, all of one size.
        labels: `[N]`, integers.
        names: One name for each class.
    """

    images: Iterator[np.ndarray]
    labels: np.ndarray
    names: Sequence[str]


def cached_bank(
    name: str,
    source: Iterable[Any],
    read: Callable[[], Content],
    cache_dir: str | os.PathLike[str] | None = None,
    bank: type[ImageBank] = ImageBank,
    dtype: Any = np.uint8,
) -> ImageBank:
    """Read images, or take those that were kept where they have been read before.

    They are kept in a folder of their own, which is there whole or not at all. Where that cannot
    be written, or the disk has no room for it, they are read to memory every time.

    Args:
        name: What the name of that folder begins with.
        source: All that the images depend on; another folder belongs to another source.
        read: Reads the images.
        cache_dir: The folder that those folders are in. Defaults to what the environment variable
            `WARPTF_CACHE_DIR` names, else to `~/.cache/warptf`.
        bank: Kind of bank. Defaults to `ImageBank`.
        dtype: Type of its images. Defaults to `uint8`.

    Returns:
        The bank; mapped where it is large, see `ImageBank.load`.
    """
    folder = os.path.join(cache_folder(cache_dir), f"{name}_{_digest(source)}")
    with contextlib.suppress(FileNotFoundError, ValueError):
        return bank.load(folder)
    content = read()
    first = next(content.images)
    images = itertools.chain([first], content.images)
    shape = (len(content.labels), *first.shape)
    if _has_room(os.path.dirname(folder), math.prod(shape) * np.dtype(dtype).itemsize):
        parts = (image[None] for image in images)
        write_image_bank(folder, shape, parts, content.labels, content.names, dtype)
        return bank.load(folder)
    stacked = np.empty(shape, dtype)
    for row, image in zip(stacked, images, strict=True):
        row[...] = image
    stacked.setflags(write=False)
    return bank(stacked, content.labels, content.names)


def _digest(source: Iterable[Any]) -> str:
    digest = hashlib.sha256(repr(_VERSION).encode())
    for item in source:
        digest.update(repr(item).encode() + b"\n")
    return digest.hexdigest()[:24]


def _has_room(folder: str, size: int) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK) and free > 1.1 * size
