"""Images in one folder, with lists that say to which class and to which split each belongs."""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from warptf.tasks.class_split import ClassSplit
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_decoding import MAX_PIXELS
from warptf.tasks.image_files import bank_of_files, checked_format, existing_directory
from warptf.tasks.names import normal_name, one_of_each
from warptf.tasks.text_files import read_rows
from warptf.tasks.wording import some_of

_PARTS = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
_COLUMNS = ["filename", "label"]
_REMEDY = (
    "expected are a folder of images and train.csv, val.csv and test.csv with columns "
    "filename,label. For miniImageNet the lists are Ravi and Larochelle's, in the repository "
    "twitter-research/meta-learning-lstm under data/miniImagenet, and the images are made with "
    "them from those of ILSVRC-12 (image-net.org, which needs an account)."
)


def csv_images_bank(
    images_dir: str | os.PathLike[str],
    csv_files: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    *,
    image_size: int | tuple[int, int] | None = 84,
    channels: int = 3,
    cache_dir: str | os.PathLike[str] | None = None,
    resize: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str], None] | None = None,
) -> tuple[ImageBank, ClassSplit]:
    """Read images that lists assign to classes and splits, as is common for miniImageNet.

    Args:
        images_dir: The folder with the images.
        csv_files: The folder with `train.csv`, `val.csv` and `test.csv`, or a mapping from
            "train", "validation" and "test" to paths. Each list has a header `filename,label`;
            see `ClassSplit.from_directory` for encodings and separators. Back-slashes of Windows'
            paths stand for `/`.
        image_size: See `image_folder_bank`. Defaults to 84.
        channels: See `image_folder_bank`. Defaults to 3.
        cache_dir: See `image_folder_bank`.
        resize: See `image_folder_bank`. Defaults to `True`.
        max_pixels: See `image_folder_bank`. Defaults to 89 million.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The images in the order of the lists, with classes named by their labels, and the split
        that the lists make.

    Raises:
        FileNotFoundError: If a folder, a list or an image is missing; the error names it.
        ValueError: If a list is malformed, a file is listed twice, a label is in two lists, or
            images are corrupt or of a wrong size.

    Reference:
        [Optimization as a Model for Few-Shot Learning](https://openreview.net/forum?id=rJY0-Kcll),
        section 5.1.
    """
    form = checked_format(image_size, channels, resize)
    root = existing_directory("images_dir", images_dir, _REMEDY)
    rows = {part: _read_rows(path) for part, path in _list_paths(csv_files).items()}
    split = ClassSplit(**{part: one_of_each(row[1] for row in rows[part]) for part in _PARTS})
    files = _found(root, [row[0] for part in _PARTS for row in rows[part]])
    names = [name for part in _PARTS for name in split.parts[part]]
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[normal_name(row[1])] for part in _PARTS for row in rows[part]])
    bank = bank_of_files("csv", root, files, labels, names, form, cache_dir, progress, max_pixels)
    return bank, split


def _found(root: str, listed: list[str]) -> list[str]:
    """Paths of the listed images, each once, as they are on the disk."""
    found = {name: _on_disk(root, name) for name in listed}
    counts = Counter(found[name] or name for name in listed)
    repeated = sorted(file for file, count in counts.items() if count > 1)
    if repeated:
        raise ValueError(f"`csv_files`: {some_of(repeated)} more than once; list an image once.")
    missing = [name for name in listed if found[name] is None]
    if missing:
        raise FileNotFoundError(
            f"`images_dir`: {len(missing)} of the {len(listed)} listed images are not in {root!r}: "
            f"{some_of(missing)}; {_REMEDY}"
        )
    return [file for file in found.values() if file is not None]


def _on_disk(root: str, listed: str) -> str | None:
    """A listed path in the spelling of the disk: blanks, back-slashes and Unicode's form differ."""
    for name in (listed, listed.strip(), listed.strip().replace("\\", "/")):
        for form in (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))):
            if os.path.isfile(os.path.join(root, form)):
                return os.path.normpath(form)
    return None


def _list_paths(
    csv_files: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
) -> dict[str, str]:
    if isinstance(csv_files, Mapping):
        if set(csv_files) != set(_PARTS):
            raise ValueError(
                f"`csv_files` must have the keys {', '.join(_PARTS)}, received {list(csv_files)}."
            )
        paths = {part: os.path.expanduser(os.fspath(path)) for part, path in csv_files.items()}
    else:
        folder = existing_directory("csv_files", csv_files, _REMEDY)
        paths = {part: os.path.join(folder, name) for part, name in _PARTS.items()}
    missing = [path for path in paths.values() if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(f"`csv_files`: {some_of(missing)} missing; {_REMEDY}")
    return paths


def _read_rows(path: str) -> list[list[str]]:
    try:
        rows = read_rows(path)
    except ValueError as error:
        raise ValueError(f"`csv_files`: {path!r} cannot be read: {error}") from error
    if not rows or [normal_name(column).lower() for column in rows[0]] != _COLUMNS:
        raise ValueError(
            f"`csv_files`: the first line of {path!r} must be {','.join(_COLUMNS)!r}, received "
            f"{','.join(rows[0]) if rows else ''!r}."
        )
    wrong = [
        number
        for number, row in enumerate(rows, 1)
        if len(row) != 2 or not all(map(normal_name, row))
    ]
    if wrong:
        raise ValueError(f"`csv_files`: {path!r} needs two columns in row {some_of(wrong)}.")
    return rows[1:]
