"""Image classification sets of TensorFlow Datasets, by name."""

import contextlib
import os
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.class_split import ClassSplit
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_cache import Content, cached_bank
from warptf.tasks.image_files import ImageFormat, WrongSize, checked_format, fitted
from warptf.tasks.network import unreachable_host
from warptf.tasks.omniglot import default_data_dir

_REPORT_EVERY = 5000  # Images.


def tfds_bank(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    split_names: Sequence[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    label_key: str | Sequence[str] = "label",
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Callable[[str], None] | None = None,
) -> ImageBank:
    """Read an image classification set of TensorFlow Datasets, its splits joined.

    Where the data set is not prepared yet, TensorFlow Datasets downloads and prepares it. Images
    are decoded once and kept, see `cache_dir`.

    Args:
        name: What `tfds.builder` knows it by, with a configuration where there are some:
            "cifar100", "caltech101", "oxford_iiit_pet".
        data_dir: See `default_data_dir`.
        split_names: The splits to join, in this order. Defaults to all, in the order of their
            names.
        image_size: Side, or `(height, width)`, that images are resized to, bilinearly and without
            aliasing. `None` for the size that they have, which must be the same for all. Defaults
            to `None`.
        label_key: The feature with the class; of several features, classes are those combinations
            that occur, named `first/second`. Defaults to "label".
        cache_dir: The folder that decoded images are kept in. Defaults to what the environment
            variable `WARPTF_CACHE_DIR` names, else to `~/.cache/warptf`.
        download: Whether a download may be tried. Defaults to `True`.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The images in the order of the data set; classes without an image are left out.

    Raises:
        FileNotFoundError: If the data set is not prepared and cannot be downloaded.
        ValueError: If there is no such data set, split or feature, or images differ in size and
            `image_size` is `None`.
    """
    form = checked_format(image_size)
    keys = (label_key,) if isinstance(label_key, str) else tuple(label_key)
    directory = default_data_dir(data_dir)
    report = progress or (lambda line: None)
    builder = _builder(name, directory)
    if not builder.is_prepared():
        _download(builder, directory, download)
    splits = sorted(builder.info.splits) if split_names is None else list(split_names)
    _check_parts(builder, splits, keys)

    def read() -> Content:
        labels, names = _read_labels(builder, splits, keys)
        return Content(_read_images(builder, splits, form, len(labels), report), labels, names)

    kept_as = f"tfds_{name.replace('/', '_').replace(':', '_')}"
    return cached_bank(kept_as, _source(builder, splits, keys, form), read, cache_dir)


def cifar_fs(
    data_dir: str | os.PathLike[str] | None,
    splits_dir: str | os.PathLike[str],
    **options: Any,
) -> tuple[ImageBank, ClassSplit]:
    """Read CIFAR-FS: the 100 classes of CIFAR-100, cut at random in 64, 16 and 20.

    Args:
        data_dir: See `default_data_dir`.
        splits_dir: The folder with `train`, `val` and `test` lists, such as the JSON files of
            Torchmeta (the repository tristandeleu/pytorch-meta); see `ClassSplit.from_directory`.
        **options: `cache_dir`, `download` and `progress` of `tfds_bank`.

    Returns:
        60,000 images of 32x32x3, with classes named as in CIFAR-100, and the split.

    Raises:
        FileNotFoundError: If a list is missing, or CIFAR-100 is not prepared and cannot be
            downloaded.
        ValueError: If a list names a class that is not in CIFAR-100.

    Reference:
        [Meta-learning with differentiable closed-form solvers](https://arxiv.org/abs/1805.08136),
        section 4.1.
    """
    split = ClassSplit.from_directory(splits_dir)
    bank = tfds_bank("cifar100", data_dir, **options)
    split.check(bank)
    return bank, split


def fc100(
    data_dir: str | os.PathLike[str] | None,
    splits_dir: str | os.PathLike[str],
    **options: Any,
) -> tuple[ImageBank, ClassSplit]:
    """Read FC100: CIFAR-100 cut by superclasses in 60, 20 and 20 classes.

    Args:
        data_dir: See `default_data_dir`.
        splits_dir: The folder with `train`, `val` and `test` lists of superclasses, such as the
            JSON files of Torchmeta (the repository tristandeleu/pytorch-meta); see
            `ClassSplit.from_directory`.
        **options: `cache_dir`, `download` and `progress` of `tfds_bank`.

    Returns:
        60,000 images of 32x32x3, with classes named `superclass/class`, and the split.

    Raises:
        FileNotFoundError: If a list is missing, or CIFAR-100 is not prepared and cannot be
            downloaded.
        ValueError: If a list names a superclass that is not in CIFAR-100.

    Reference:
        [TADAM](https://arxiv.org/abs/1805.10123), section 4.1.
    """
    split = ClassSplit.from_directory(splits_dir)
    bank = tfds_bank("cifar100", data_dir, label_key=("coarse_label", "label"), **options)
    return bank, split.expanded(bank)


def _builder(name: str, directory: str) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=directory)
    except tfds.core.DatasetNotFoundError:
        raise ValueError(
            f"`name`: TensorFlow Datasets knows no {name!r}; choose one of "
            "https://www.tensorflow.org/datasets/catalog, or import the module that defines it."
        ) from None


def _download(builder: Any, directory: str, download: bool) -> None:
    remedy = (
        f"{builder.info.full_name} is not prepared in {directory!r} and {{}}; prepare it on a "
        f"machine with a network by `tfds build {builder.name} --data_dir DIR`, and copy "
        f"DIR/{builder.name} to {directory}."
    )
    if not download:
        raise FileNotFoundError(remedy.format("`download` is False"))
    urls = builder.url_infos or {}  # None where no checksum is registered.
    parts = [urllib.parse.urlsplit(url).netloc.partition(":") for url in urls]
    unreachable = unreachable_host(sorted({(host, int(port or 443)) for host, _, port in parts}))
    if unreachable is not None:
        raise FileNotFoundError(remedy.format(f"{unreachable} cannot be reached"))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except Exception as error:
        reason = f"the download failed ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        raise FileNotFoundError(remedy.format(reason)) from error


def _check_parts(builder: Any, splits: list[str], keys: tuple[str, ...]) -> None:
    unknown = [split for split in splits if split not in builder.info.splits]
    if unknown or not splits:
        raise ValueError(
            f"`split_names`: {unknown} not among the splits of {builder.name}, "
            f"{sorted(builder.info.splits)}."
        )
    features = builder.info.features
    labels = sorted(key for key, feature in features.items() if hasattr(feature, "names"))
    if not keys or set(keys) - set(labels):
        raise ValueError(
            f"`label_key`: {list(keys)} not among the features of {builder.name} with classes, "
            f"{labels}."
        )
    if "image" not in features:
        raise ValueError(
            f"`name`: {builder.name} has no feature 'image' but {sorted(features)}; choose a set "
            "for image classification."
        )


def _source(
    builder: Any, splits: list[str], keys: tuple[str, ...], form: ImageFormat
) -> Iterator[Any]:
    yield builder.info.full_name, tuple(splits), keys, form
    with os.scandir(builder.data_dir) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            yield entry.name, entry.stat().st_size, entry.stat().st_mtime_ns


def _examples(builder: Any, splits: list[str]) -> Iterator[tf.data.Dataset]:
    """The images still encoded."""
    import tensorflow_datasets as tfds

    for split in splits:
        yield builder.as_dataset(
            split=split, shuffle_files=False, decoders={"image": tfds.decode.SkipDecoding()}
        )


def _read_labels(
    builder: Any, splits: list[str], keys: tuple[str, ...]
) -> tuple[np.ndarray, list[str]]:
    parts = [
        np.stack(
            list(examples.map(lambda example: [example[key] for key in keys]).as_numpy_iterator())
        )
        for examples in _examples(builder, splits)
    ]
    found, labels = np.unique(np.concatenate(parts), axis=0, return_inverse=True)
    features = [builder.info.features[key] for key in keys]
    names = [
        "/".join(
            feature.int2str(int(number)) for feature, number in zip(features, row, strict=True)
        )
        for row in found
    ]
    return labels.reshape(-1), names


def _read_images(
    builder: Any, splits: list[str], form: ImageFormat, count: int, report: Callable[[str], None]
) -> Iterator[np.ndarray]:
    feature = builder.info.features["image"]
    report(f"decoding {count} images of {builder.info.full_name}")
    number = 0
    for examples in _examples(builder, splits):
        decoded = examples.map(
            lambda example: feature.decode_example(example["image"]), tf.data.AUTOTUNE
        )
        for image in decoded.prefetch(tf.data.AUTOTUNE):
            try:
                yield fitted(image, form)
            except WrongSize as error:
                raise ValueError(
                    f"`image_size`: image {number} of {builder.name} is {error}, others are "
                    f"{'x'.join(map(str, form.size or ()))}; give a size to bring them to."
                ) from None
            if form.size is None:
                form = ImageFormat(tuple(image.shape[:2]), form.channels, resize=False)
            number += 1
            if number % _REPORT_EVERY == 0:
                report(f"decoded {number} of {count}")
