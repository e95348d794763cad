"""Drawings of characters, grouped in alphabets: what character tasks are made from."""

import contextlib
import os
import uuid
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from warptf.tasks.array_files import read_arrays
from warptf.tasks.names import normal_names


class CharacterBank:
    """An immutable set of grey-scale drawings of characters that belong to alphabets.

    Args:
        images: `[characters, drawings, height, width]`, either `uint8` (ink is 255) or a float in
            [0, 1] (ink is 1), stored as `uint8`.
        alphabets: `[characters]`, integers: the alphabet of each character.
        names: One distinct name for each alphabet, kept as `normal_name` writes it.

    Raises:
        TypeError: If an array has a type that is not listed above.
        ValueError: If shapes disagree, a value is not finite or out of range, an alphabet has no
            character, or a name is not unique.

    >>> import numpy as np
    >>> bank = CharacterBank(np.zeros([3, 20, 28, 28], "uint8"), [0, 0, 1], ["Latin", "Greek"])
    >>> bank
    CharacterBank(2 alphabets, 3 characters of 20 drawings, 28x28)
    >>> bank.alphabet_sizes
    {'Latin': 2, 'Greek': 1}
    """

    def __init__(self, images: Any, alphabets: Any, names: Sequence[str]) -> None:
        self._images = _checked_images(np.asarray(images))
        self._names = normal_names("names", names)
        self._alphabets = _checked_alphabets(
            np.asarray(alphabets), self._images.shape[0], len(self._names)
        )

    @property
    def images(self) -> np.ndarray:
        """`[characters, drawings, height, width]`, `uint8`, ink is 255; read-only."""
        return self._images

    @property
    def alphabets(self) -> np.ndarray:
        """`[characters]`, `int32`: the alphabet of each character; read-only."""
        return self._alphabets

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each alphabet."""
        return self._names

    @property
    def drawings(self) -> int:
        """How many drawings each character has."""
        return self._images.shape[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, 1)`."""
        return (*self._images.shape[2:], 1)

    @property
    def alphabet_sizes(self) -> dict[str, int]:
        """How many characters each alphabet has."""
        counts = np.bincount(self._alphabets, minlength=len(self._names))
        return dict(zip(self._names, counts.tolist(), strict=True))

    def __repr__(self) -> str:
        characters, drawings, height, width = self._images.shape
        return (
            f"CharacterBank({len(self._names)} alphabets, {characters} characters of "
            f"{drawings} drawings, {height}x{width})"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bank to one `.npz` file, whole or not at all.

        Args:
            path: Where to; an existing file is replaced.
        """
        path = os.path.abspath(os.fspath(path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        aside = f"{path}.{uuid.uuid4().hex}.part"
        try:
            with open(aside, "xb") as file:
                np.savez_compressed(
                    file, images=self._images, alphabets=self._alphabets, names=list(self._names)
                )
            os.replace(aside, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(aside)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "CharacterBank":
        """Read a bank that `save` wrote; no code in the file is ever run.

        Args:
            path: The `.npz` file.

        Returns:
            The bank.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is damaged, holds something else, or more than a GiB.
        """
        path = os.fspath(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"`path`: no character bank at {path!r}; write it with `save`.")
        try:
            images, alphabets, names = read_arrays(path, ("images", "alphabets", "names"))
        except (ValueError, TypeError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"`path`: {path!r} is damaged or is no character bank ({error}); delete it and "
                "write it anew with `save`."
            ) from error
        return cls(images, alphabets, [str(name) for name in names])


def _checked_images(images: np.ndarray) -> np.ndarray:
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            "`images` must be [characters, drawings, height, width] with no empty axis, received "
            f"shape {images.shape}; add or drop axes."
        )
    if images.dtype == np.uint8:
        images = images.copy()
    elif np.issubdtype(images.dtype, np.floating):
        if not np.isfinite(images).all():
            raise ValueError("`images` holds NaN or infinite values; clean them first.")
        low, high = images.min(), images.max()
        if low < 0 or high > 1:
            raise ValueError(
                f"`images` as floats must lie in [0, 1], received [{low:g}, {high:g}]; rescale "
                "them or pass uint8."
            )
        images = np.round(images * 255).astype(np.uint8)
    else:
        raise TypeError(
            f"`images` must be uint8 or floats in [0, 1], received {images.dtype}; convert them."
        )
    images.setflags(write=False)
    return images


def _checked_alphabets(alphabets: np.ndarray, characters: int, count: int) -> np.ndarray:
    if not np.issubdtype(alphabets.dtype, np.integer):
        raise TypeError(f"`alphabets` must be integers, received {alphabets.dtype}.")
    if alphabets.shape != (characters,):
        raise ValueError(
            f"`alphabets` must have one entry for each of the {characters} characters of "
            f"`images`, received shape {alphabets.shape}."
        )
    if alphabets.min() < 0 or alphabets.max() >= count:
        raise ValueError(
            f"`alphabets` must lie in [0, {count}) for {count} `names`, received "
            f"[{alphabets.min()}, {alphabets.max()}]."
        )
    empty = sorted(set(range(count)) - set(alphabets.tolist()))
    if empty:
        raise ValueError(f"`alphabets`: no character belongs to {empty}; drop these from `names`.")
    alphabets = alphabets.astype(np.int32)
    alphabets.setflags(write=False)
    return alphabets
