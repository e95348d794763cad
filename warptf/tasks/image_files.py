"""Image files on disk: listed, checked, decoded, resized and kept."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_cache import Content, cached_bank
from warptf.tasks.wording import some_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

_CHUNK = 512  # Files that are read at a time.


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


def images_in(folder: str) -> list[str]:
    """Sorted names of the image files in a folder; hidden ones and others are passed over."""
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if not entry.name.startswith(".") and entry.name.lower().endswith(SUFFIXES)
    )


def bank_of_files(
    name: str,
    root: str,
    files: Sequence[str],
    labels: np.ndarray,
    names: Sequence[str],
    form: ImageFormat,
    cache_dir: str | os.PathLike[str] | None,
    progress: Callable[[str], None] | None,
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

    Returns:
        The bank, its images in the order of `files`.

    Raises:
        ValueError: If files are unreadable or corrupt, or of another size than they should be.
            All files are looked at before, and nothing is kept.
    """
    report = progress or (lambda line: None)

    def source() -> Iterator[Any]:
        yield from (name, form, tuple(names))
        for file, label in zip(files, labels.tolist(), strict=True):
            yield file, label, _size_and_time(os.path.join(root, file))

    def read() -> Content:
        return Content(_decoded(root, files, form, report), labels, names)

    return cached_bank(name, source(), read, cache_dir)


def decode(data: bytes, channels: int) -> tf.Tensor:
    """Decode a JPEG, PNG, BMP or GIF image, the last one's first frame.

    Args:
        data: What the file holds.
        channels: 1 for grey, 3 for colour.

    Returns:
        `[height, width, channels]`, `uint8`.
    """
    if data[:2] == b"\xff\xd8":
        return _decode_jpeg(data, channels)
    if data[:2] == b"BM" or data[:3] == b"GIF":
        # Their decoders do not convert channels.
        image = tf.io.decode_image(data, expand_animations=False)
        if image.shape[-1] == 1:
            return tf.repeat(image, channels, axis=-1)
        return tf.image.rgb_to_grayscale(image[..., :3]) if channels == 1 else image[..., :3]
    return tf.io.decode_image(data, channels=channels, expand_animations=False)


def _decode_jpeg(data: bytes, channels: int) -> tf.Tensor:
    # The default inverse transform is a fast one that errs by several grey values.
    read = functools.partial(tf.io.decode_jpeg, data, dct_method="INTEGER_ACCURATE")
    try:
        return read(channels=channels)
    except tf.errors.InvalidArgumentError:
        if channels == 3:
            raise
        # There is no way from CMYK to grey but through colour.
        return tf.image.rgb_to_grayscale(read(channels=3))


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
    small = tf.image.resize(image, form.size, method="bilinear", antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(small, 0.0, 255.0)), tf.uint8).numpy()


def _size_and_time(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:  # Such as a link to nowhere; decoding names it with the others.
        return None
    return status.st_size, status.st_mtime_ns


def _decoded(
    root: str, files: Sequence[str], form: ImageFormat, report: Callable[[str], None]
) -> Iterator[np.ndarray]:
    """Images in the order of the files; what is wrong with any of them is raised at the end."""
    report(f"decoding {len(files)} images in {root}")
    corrupt: list[str] = []
    misfits: list[str] = []
    by_size: dict[tuple[int, ...], list[str]] = {}
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            load = functools.partial(_load, root, form=form)
            for file, result in zip(chunk, pool.map(load, chunk), strict=True):
                if isinstance(result, WrongSize):
                    misfits.append(f"{file} ({result})")
                elif isinstance(result, Exception):
                    corrupt.append(file)
                else:
                    by_size.setdefault(result.size, []).append(file)
                    if form.size is None:
                        form = ImageFormat(result.image.shape[:2], form.channels, resize=False)
                    yield from _if_alike(result.image, form, file, misfits)
            report(f"decoded {start + len(chunk)} of {len(files)}")
    _raise_for(root, corrupt, misfits, form)
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


def _load(root: str, file: str, form: ImageFormat) -> _Loaded | Exception:
    try:
        with open(os.path.join(root, file), "rb") as stream:
            data = stream.read()
        with tf.device("CPU:0"):
            image = decode(data, form.channels)
            return _Loaded(fitted(image, form), tuple(image.shape[:2]))
    except (OSError, tf.errors.OpError, WrongSize) as error:
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


def _raise_for(root: str, corrupt: list[str], misfits: list[str], form: ImageFormat) -> None:
    if corrupt:
        raise ValueError(
            f"{len(corrupt)} of the images in {root!r} cannot be read or are corrupt: "
            f"{some_of(corrupt)}; replace or remove them."
        )
    if misfits:
        assert form.size is not None
        raise ValueError(
            f"{len(misfits)} of the images in {root!r} are not {form.size[0]}x{form.size[1]}: "
            f"{some_of(misfits)}; give `image_size` without `resize=False`, to bring all images "
            "to one size."
        )
