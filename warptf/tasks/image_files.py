"""Image files on disk: listed, checked, decoded, resized and kept."""

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_cache import Content, cached_bank
from warptf.tasks.image_decoding import MAX_PIXELS, UnreadableImage, decoded, opened_image
from warptf.tasks.pixel_budget import PixelBudget
from warptf.tasks.wording import MOST, some_of

_CHUNK = 512  # Files that are read at a time.
# TensorFlow's eager operations, called by several threads at once, have ended the process.
_EAGER = threading.Lock()
_AT_A_TIME = PixelBudget(MAX_PIXELS)  # About a GiB, while they are decoded and resized.


class ImageFormat(NamedTuple):
    """What every image is made to be.

    Args:
        size: `(height, width)`; `None` for the one size that all files have.
        channels: 1 for grey, 3 for colour.
        resize: Whether images of another size are resized, instead of being refused.
    """

    size: tuple[int, int] | None
    channels: int
    resize: bool


class _Loaded(NamedTuple):
    """An image, brought to its size, and the size that its file has."""

    image: np.ndarray
    size: tuple[int, ...]


class WrongSize(Exception):
    """An image has another size than it should have."""


def checked_format(image_size: Any, channels: int = 3, resize: bool = True) -> ImageFormat:
    """Check the arguments that say what images shall be.

    Args:
        image_size: Side, or `(height, width)`, or `None`.
        channels: 1 or 3.
        resize: Whether to resize.

    Returns:
        An `ImageFormat`.
    """
    size = image_size
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool):
        size = (int(size), int(size))
    if size is not None:
        size = tuple(size) if isinstance(size, (tuple, list)) else ()
        if len(size) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in size):
            raise ValueError(
                "`image_size` must be a number of pixels, (height, width) or None, received "
                f"{image_size!r}."
            )
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 (grey) or 3 (colour), received {channels!r}.")
    return ImageFormat(size, channels, bool(resize))


def existing_directory(argument: str, directory: str | os.PathLike[str], remedy: str) -> str:
    """Give the absolute path of a folder, or an error with a remedy where there is none."""
    path = os.path.abspath(os.path.expanduser(os.fspath(directory)))
    if not os.path.isdir(path):
        raise FileNotFoundError(f"`{argument}`: there is no folder {path!r}; {remedy}")
    return path


def bank_of_files(
    name: str,
    root: str,
    files: Sequence[str],
    labels: np.ndarray,
    names: Sequence[str],
    form: ImageFormat,
    cache_dir: str | os.PathLike[str] | None,
    progress: Callable[[str], None] | None,
    max_pixels: int = MAX_PIXELS,
) -> ImageBank:
    """Decode files to a bank, or take what was kept when the same files were decoded before.

    Args:
        name: What the folder that is kept is named for.
        root: The folder that `files` are relative to.
        files: Paths of the images.
        labels: `[N]`, the class of each file.
        names: One name for each class.
        form: What every image is made to be.
        cache_dir: See `cached_bank`.
        progress: Called with a line of text now and then.
        max_pixels: See `decode_image`.

    Returns:
        The bank, its images in the order of `files`.

    Raises:
        ValueError: If files are unreadable or corrupt, or of another size than they should be.
            All files are looked at before, and nothing is kept.
    """
    report = progress or (lambda line: None)
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, (int, np.integer)):
        raise TypeError(f"`max_pixels` must be an integer, received {max_pixels!r}.")

    def source() -> Iterator[Any]:
        yield from (name, form, tuple(names))
        for file, label in zip(files, labels.tolist(), strict=True):
            yield file, label, _size_and_time(os.path.join(root, file))

    def read() -> Content:
        return Content(_decoded(root, files, form, max_pixels, report), labels, names)

    return cached_bank(name, source(), read, cache_dir)


def fitted(image: Any, form: ImageFormat) -> np.ndarray:
    """Bring a decoded image to its size, or raise `WrongSize`.

    Args:
        image: `[height, width, channels]`, `uint8`.
        form: What it is made to be; a size of `None` takes any.

    Returns:
        `[height, width, channels]`, `uint8`.
    """
    size = tuple(image.shape[:2])
    if form.size is None or size == form.size:
        return np.asarray(image)
    if not form.resize:
        raise WrongSize(f"{size[0]}x{size[1]}")
    with _EAGER, tf.device("CPU:0"):
        small = tf.image.resize(image, form.size, method="bilinear", antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(small, 0.0, 255.0)), tf.uint8).numpy()


def _size_and_time(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:  # Such as a link to nowhere; decoding names it with the others.
        return None
    return status.st_size, status.st_mtime_ns


def _decoded(
    root: str,
    files: Sequence[str],
    form: ImageFormat,
    max_pixels: int,
    report: Callable[[str], None],
) -> Iterator[np.ndarray]:
    """Images in the order of the files; what is wrong with any of them is raised at the end."""
    report(f"decoding {len(files)} images in {root}")
    unreadable: dict[str, list[str]] = {}
    misfits: list[str] = []
    by_size: dict[tuple[int, ...], list[str]] = {}
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            load = functools.partial(_load, root, form=form, max_pixels=max_pixels)
            for file, result in zip(chunk, pool.map(load, chunk), strict=True):
                if isinstance(result, WrongSize):
                    misfits.append(f"{file} ({result})")
                elif isinstance(result, Exception):
                    unreadable.setdefault(str(result), []).append(file)
                else:
                    by_size.setdefault(result.size, []).append(file)
                    if form.size is None:
                        form = ImageFormat(result.image.shape[:2], form.channels, resize=False)
                    yield from _if_alike(result.image, form, file, misfits)
            report(f"decoded {start + len(chunk)} of {len(files)}")
    _raise_for(root, unreadable, misfits, form)
    _report_sizes(by_size, form, report)


def _if_alike(
    image: np.ndarray, form: ImageFormat, file: str, misfits: list[str]
) -> Iterable[np.ndarray]:
    """The first files may have been read before their common size was known."""
    try:
        return [fitted(image, form)]
    except WrongSize as error:
        misfits.append(f"{file} ({error})")
        return []


def _load(root: str, file: str, form: ImageFormat, max_pixels: int) -> _Loaded | Exception:
    try:
        with (
            opened_image(os.path.join(root, file), max_pixels) as image,
            _AT_A_TIME.taken(image.width * image.height),
        ):
            pixels = decoded(image, form.channels)
            return _Loaded(fitted(pixels, form), pixels.shape[:2])
    except (UnreadableImage, WrongSize) as error:
        return error


def _report_sizes(
    by_size: dict[tuple[int, ...], list[str]], form: ImageFormat, report: Callable[[str], None]
) -> None:
    """Say which files are of another size than most, where sizes are mixed."""
    if len(by_size) < 2 or form.size is None:
        return
    usual = max(by_size, key=lambda size: len(by_size[size]))
    others = [
        f"{file} ({size[0]}x{size[1]})"
        for size, files in by_size.items()
        if size != usual
        for file in files
    ]
    report(
        f"images differ in size and were all resized to {form.size[0]}x{form.size[1]}: most are "
        f"{usual[0]}x{usual[1]}, {len(others)} are not: {some_of(others)}"
    )


def _raise_for(
    root: str, unreadable: dict[str, list[str]], misfits: list[str], form: ImageFormat
) -> None:
    if unreadable:
        count = sum(map(len, unreadable.values()))
        reasons = list(unreadable.items())
        named = "; ".join(f"{some_of(files)}: {reason}" for reason, files in reasons[:MOST])
        more = f"; and {len(reasons) - MOST} more reasons" if len(reasons) > MOST else ""
        raise ValueError(
            f"{count} of the images in {root!r} cannot be read: {named}{more}. Replace or remove "
            "them."
        )
    if misfits:
        assert form.size is not None
        raise ValueError(
            f"{len(misfits)} of the images in {root!r} are not {form.size[0]}x{form.size[1]}: "
            f"{some_of(misfits)}; give `image_size` without `resize=False`, to bring all images "
            "to one size."
        )
