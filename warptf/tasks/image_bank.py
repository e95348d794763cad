"""Labelled images: what few-shot tasks are made from."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from warptf.tasks.names import normal_names
from warptf.tasks.wording import some_of

MAP_ABOVE = 2**30
"""Banks with more bytes of images than this are mapped, unless `load` is told otherwise."""

_IMAGES, _LABELS, _CLASSES = "images.npy", "labels.npy", "classes.json"
_FILES = (_IMAGES, _LABELS, _CLASSES)
_CHUNK = 1024  # Images that are written at a time.


class ImageBank:
    """An immutable set of images of one size, each of one class.

    Axes: `N` images.

    Args:
        images: `[N, height, width, channels]`, `uint8`. A read-only array (such as a
            `numpy.memmap` of mode "r") is kept as it is, any other one is copied.
        labels: `[N]`, integers: the class of each image.
        names: One distinct name for each class, kept as `normal_name` writes it.

    Raises:
        TypeError: If an array has a type that is not listed above.
        ValueError: If shapes disagree, a label is out of range, a class has no image, or a name is
            not unique.

    >>> import numpy as np
    >>> bank = ImageBank(np.zeros([3, 84, 84, 3], "uint8"), [0, 0, 1], ["cat", "dog"])
    >>> bank
    ImageBank(2 classes, 3 images, 84x84x3)
    >>> bank.class_sizes
    {'cat': 2, 'dog': 1}
    >>> bank.subset(["dog"])
    ImageBank(1 classes, 1 images, 84x84x3)
    """

    def __init__(self, images: Any, labels: Any, names: Sequence[str]) -> None:
        self._images = self._checked(np.asanyarray(images))
        self._names = normal_names("names", names)
        self._labels = _checked_labels(
            np.asarray(labels), self._images.shape[0], len(self._names), self._names
        )

    def _checked(self, images: np.ndarray) -> np.ndarray:
        return _checked_images(images)

    @property
    def images(self) -> np.ndarray:
        """`[N, height, width, channels]`, `uint8`; read-only."""
        return self._images

    @property
    def labels(self) -> np.ndarray:
        """`[N]`, `int32`: the class of each image; read-only."""
        return self._labels

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each class."""
        return self._names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        _, height, width, channels = self._images.shape
        return height, width, channels

    @property
    def class_sizes(self) -> dict[str, int]:
        """How many images each class has."""
        counts = np.bincount(self._labels, minlength=len(self._names))
        return dict(zip(self._names, counts.tolist(), strict=True))

    @property
    def is_mapped(self) -> bool:
        """Whether the images stay in their file and are read when they are needed."""
        return isinstance(self._images, np.memmap)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.image_shape))
        return f"ImageBank({len(self._names)} classes, {len(self._labels)} images, {shape})"

    def subset(self, names: Sequence[str]) -> "ImageBank":
        """Keep some classes only; their images are copied to memory.

        Args:
            names: Names of classes, in the order that their labels shall have.

        Returns:
            A bank of these classes, with the images in the order that they have in this one.

        Raises:
            ValueError: If a name is not one of the bank's.
        """
        names = normal_names("names", names)
        unknown = [name for name in names if name not in self._names]
        if unknown:
            raise ValueError(f"`names`: {some_of(unknown)} not in {self!r}; see its `names`.")
        renumbered = np.full([len(self._names)], -1, np.int32)
        renumbered[[self._names.index(name) for name in names]] = np.arange(len(names))
        labels = renumbered[self._labels]
        kept = np.flatnonzero(labels >= 0)
        images = np.array(self._images[kept])
        images.setflags(write=False)
        return ImageBank(images, labels[kept], names)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the bank to a folder of three files, whole or not at all.

        Args:
            directory: The folder. One that holds a bank is replaced.

        Raises:
            FileExistsError: If there is a file, or a folder that holds anything else.
        """
        parts = (self._images[i : i + _CHUNK] for i in range(0, len(self._images), _CHUNK))
        write_image_bank(directory, self._images.shape, parts, self._labels, self._names)

    @classmethod
    def load(cls, directory: str | os.PathLike[str], memory_map: bool | None = None) -> "ImageBank":
        """Read a bank that `save` wrote; no code in the files is ever run.

        Args:
            directory: The folder.
            memory_map: Whether the images stay in their file, to be read as they are needed.
                `None` for: if they have more than `MAP_ABOVE` bytes, 1 GiB. Defaults to `None`.

        Returns:
            The bank.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If a file is missing, damaged or holds something else.
        """
        directory = os.path.abspath(os.path.expanduser(os.fspath(directory)))
        if not os.path.isdir(directory):
            raise FileNotFoundError(
                f"`directory`: no image bank at {directory!r}; write it with `save`."
            )
        images, labels, classes = (os.path.join(directory, file) for file in _FILES)
        with _reading(images):
            mapped = os.path.getsize(images) > MAP_ABOVE if memory_map is None else memory_map
            stored = np.load(images, mmap_mode="r" if mapped else None, allow_pickle=False)
            stored.setflags(write=False)
        with _reading(labels):
            numbers = np.load(labels, allow_pickle=False)
        with _reading(classes), open(classes, encoding="utf-8") as file:
            names = json.load(file)["names"]
        with _reading(directory):
            return cls(stored, numbers, names)


def write_image_bank(
    directory: str | os.PathLike[str],
    shape: Sequence[int],
    parts: Iterable[np.ndarray],
    labels: Any,
    names: Sequence[str],
    dtype: Any = np.uint8,
) -> None:
    """Write a bank of which only a part is in memory at a time, whole or not at all.

    Args:
        directory: The folder. One that holds a bank is replaced.
        shape: `(N, height, width, channels)`.
        parts: Images in their order, each `[any number, height, width, channels]`.
        labels: `[N]`, integers.
        names: One name for each class.
        dtype: Type of the images. Defaults to `uint8`.

    Raises:
        FileExistsError: If there is a file, or a folder that holds anything else.
        ValueError: If `parts` are not of that shape.
    """
    directory = os.path.abspath(os.path.expanduser(os.fspath(directory)))
    _check_replaceable(directory)
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    aside = f"{directory}.{uuid.uuid4().hex}.part"
    os.mkdir(aside)
    try:
        _write_images(os.path.join(aside, _IMAGES), shape, parts, np.dtype(dtype))
        np.save(os.path.join(aside, _LABELS), np.asarray(labels, np.int32), allow_pickle=False)
        with open(os.path.join(aside, _CLASSES), "w", encoding="utf-8") as file:
            json.dump({"names": list(names)}, file, ensure_ascii=False, indent=1)
        _move_into_place(aside, directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_images(
    path: str, shape: Sequence[int], parts: Iterable[np.ndarray], dtype: np.dtype
) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(shape),
    }
    written = 0
    with open(path, "xb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        # Not through a map of the file: on a full disk that ends the process instead of raising.
        for part in parts:
            if part.dtype != dtype or part.shape[1:] != tuple(shape)[1:]:
                raise ValueError(
                    f"`parts` must be {dtype} and [.., {', '.join(map(str, shape[1:]))}], received "
                    f"{part.dtype} of shape {part.shape}."
                )
            file.write(np.ascontiguousarray(part).tobytes())
            written += len(part)
    if written != shape[0]:
        raise ValueError(f"`parts` hold {written} images, `shape` says {shape[0]}.")


def _check_replaceable(directory: str) -> None:
    if not os.path.lexists(directory):
        return
    if not os.path.isdir(directory) or set(os.listdir(directory)) - set(_FILES):
        raise FileExistsError(
            f"`directory`: {directory!r} exists and is no image bank; choose another folder."
        )


def _move_into_place(aside: str, directory: str) -> None:
    """A folder that is not empty cannot be replaced in one step, so the old one steps aside."""
    old = f"{aside}.old"
    with contextlib.suppress(FileNotFoundError):
        os.rename(directory, old)
    try:
        os.rename(aside, directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.rename(old, directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _reading(path: str) -> Any:
    """Say which file cannot be read."""
    try:
        yield
    except (ValueError, TypeError, KeyError, EOFError, OSError, AttributeError) as error:
        raise ValueError(
            f"`directory`: {path!r} is missing, damaged or no part of an image bank ({error}); "
            "delete the folder and write it anew with `save`."
        ) from error


def _checked_images(images: np.ndarray) -> np.ndarray:
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            "`images` must be [N, height, width, channels] with no empty axis, received shape "
            f"{images.shape}; add or drop axes."
        )
    if images.dtype != np.uint8:
        raise TypeError(
            f"`images` must be uint8, received {images.dtype}; scale them to 0 to 255 and convert "
            "them."
        )
    return read_only(images)


def read_only(values: np.ndarray) -> np.ndarray:
    """Returns an array as it is where it is read-only, else a read-only copy.

    Args:
        values: the array.
    """
    if values.flags.writeable:
        values = np.array(values)
        values.setflags(write=False)
    return values


def _checked_labels(
    labels: np.ndarray, images: int, classes: int, names: tuple[str, ...]
) -> np.ndarray:
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"`labels` must be integers, received {labels.dtype}.")
    if labels.shape != (images,):
        raise ValueError(
            f"`labels` must have one entry for each of the {images} `images`, received shape "
            f"{labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`labels` must lie in [0, {classes}) for {classes} `names`, received "
            f"[{labels.min()}, {labels.max()}]."
        )
    empty = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(empty):
        raise ValueError(
            f"`labels`: no image belongs to {some_of(names[i] for i in empty)}; drop these from "
            "`names`."
        )
    labels = labels.astype(np.int32)
    labels.setflags(write=False)
    return labels
