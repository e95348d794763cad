"""Arrays in `.npz` files, which are read only where they are no larger than they should be."""

import os
import zipfile
from collections.abc import Sequence

import numpy as np

MAX_BYTES = 2**30


class TooLarge(ValueError):
    """An array is larger than it should be."""


def read_arrays(
    path: str | os.PathLike[str], names: Sequence[str], max_bytes: int = MAX_BYTES
) -> list[np.ndarray]:
    """Read arrays of a file that `numpy.savez` wrote; no code in the file is ever run.

    Args:
        path: The `.npz` file.
        names: The names of the arrays.
        max_bytes: Arrays that take more together, as the file's directory says, are refused before
            they are unpacked. Defaults to a GiB.

    Returns:
        The arrays, in the order of the names.

    Raises:
        TooLarge: If they take more.
        OSError: If the file cannot be opened.
        ValueError: If it is no such file, or holds objects.
        KeyError: If it lacks an array.
        zipfile.BadZipFile: If it is damaged.

    >>> import tempfile
    >>> file = os.path.join(tempfile.mkdtemp(), "arrays.npz")
    >>> np.savez(file, x=[1, 2], y=[3])
    >>> read_arrays(file, ("y", "x"))
    [array([3]), array([1, 2])]
    """
    with open(path, "rb") as file:
        # A file is unpacked no further than to the size that its directory says.
        with zipfile.ZipFile(file) as archive:
            size = sum(archive.getinfo(f"{name}.npy").file_size for name in names)
        if size > max_bytes:
            raise TooLarge(
                f"its arrays {', '.join(names)} take {size} bytes, more than {max_bytes}"
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as content:
            return [content[name] for name in names]
