"""tieredImageNet, from the training images of ILSVRC-12."""

import os
from collections.abc import Callable

from warptf.tasks.class_split import ClassSplit
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_decoding import MAX_PIXELS
from warptf.tasks.image_files import bank_of_files, checked_format, existing_directory
from warptf.tasks.image_listing import images_of_classes
from warptf.tasks.names import normal_name
from warptf.tasks.text_files import read_rows
from warptf.tasks.wording import some_of

_PARTS = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
_IMAGES_REMEDY = (
    "get ILSVRC-12's training images (image-net.org, which needs an account) and unpack "
    "ILSVRC2012_img_train.tar, and each nXXXXXXXX.tar in it to a folder nXXXXXXXX."
)
_LISTS_REMEDY = (
    "get train.csv, val.csv and test.csv (class synset, parent synset in each line, no header) of "
    "Ren et al. from the repository renmengye/few-shot-ssl-public, under "
    "fewshot/data/tiered_imagenet_split."
)


def tiered_imagenet_bank(
    ilsvrc_train_dir: str | os.PathLike[str],
    lists_dir: str | os.PathLike[str],
    image_size: int | tuple[int, int] = 84,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str], None] | None = None,
) -> tuple[ImageBank, ClassSplit]:
    """Read the classes of tieredImageNet: 351 for training, 97 for validation, 160 for the test.

    The 779,165 images of 84x84 take 16.5 GB; they are decoded once, kept, and mapped.

    Args:
        ilsvrc_train_dir: ILSVRC-12's training folder, with a folder `nXXXXXXXX` for each class.
        lists_dir: The folder with Ren et al.'s `train.csv`, `val.csv` and `test.csv`.
        image_size: Side, or `(height, width)`; see `image_folder_bank`. Defaults to 84.
        cache_dir: The folder that decoded images are kept in; see `image_folder_bank`.
        max_pixels: See `image_folder_bank`. Defaults to 89 million.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The images, sorted by list, class and file, with classes named by their synsets, and the
        split that the lists make.

    Raises:
        FileNotFoundError: If a folder or a list is missing; the error names it.
        ValueError: If a list is malformed, two lists share a class or a parent, a class has no
            image, or images are corrupt.

    Reference:
        [Meta-Learning for Semi-Supervised Few-Shot Classification](https://arxiv.org/abs/1803.00676),
        section 4.1.
    """
    form = checked_format(image_size)
    if form.size is None:
        raise ValueError("`image_size` must be given: the images of ILSVRC-12 differ in size.")
    root = existing_directory("ilsvrc_train_dir", ilsvrc_train_dir, _IMAGES_REMEDY)
    split = _read_lists(existing_directory("lists_dir", lists_dir, _LISTS_REMEDY))
    names = [name for part in split.parts.values() for name in part]
    missing = [name for name in names if not os.path.isdir(os.path.join(root, name))]
    if missing:
        raise FileNotFoundError(
            f"`ilsvrc_train_dir`: {len(missing)} of the {len(names)} class folders are not in "
            f"{root!r}: {some_of(missing)}; {_IMAGES_REMEDY}"
        )
    files, labels, empty = images_of_classes(root, names, progress=progress)
    if empty:
        raise ValueError(
            f"`ilsvrc_train_dir`: folders without an image in {root!r}: {some_of(empty)}; "
            f"{_IMAGES_REMEDY}"
        )
    bank = bank_of_files(
        "tiered", root, files, labels, names, form, cache_dir, progress, max_pixels
    )
    return bank, split


def _read_lists(folder: str) -> ClassSplit:
    paths = {part: os.path.join(folder, name) for part, name in _PARTS.items()}
    missing = [path for path in paths.values() if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(f"`lists_dir`: {some_of(missing)} missing; {_LISTS_REMEDY}")
    rows = {part: _read_rows(path) for part, path in paths.items()}
    parents = {part: {row[1] for row in content} for part, content in rows.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if parents[one] & parents[other]:
            raise ValueError(
                f"`lists_dir`: parents {some_of(sorted(parents[one] & parents[other]))} are in the "
                f"lists of {one} and {other} in {folder!r}; {_LISTS_REMEDY}"
            )
    return ClassSplit(**{part: [row[0] for row in content] for part, content in rows.items()})


def _read_rows(path: str) -> list[list[str]]:
    try:
        rows = [[normal_name(column) for column in row] for row in read_rows(path)]
    except ValueError as error:
        raise ValueError(f"`lists_dir`: {path!r} cannot be read: {error}") from error
    wrong = [number for number, row in enumerate(rows, 1) if len(row) != 2 or not all(row)]
    if wrong or not rows:
        raise ValueError(
            f"`lists_dir`: {path!r} must have two columns, wrong is row {some_of(wrong or [1])}; "
            f"{_LISTS_REMEDY}"
        )
    return rows
