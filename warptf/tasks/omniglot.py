"""Omniglot, through TensorFlow Datasets."""

import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.character_bank import CharacterBank
from warptf.tasks.network import unreachable_host
from warptf.tasks.omniglot_archives import ARCHIVES, DRAWINGS, check_archives, unpack_archive

_SIDE = 28
_CHARACTERS = sum(ARCHIVES[key].labels for key in ("train", "eval"))
_CACHE = f"warptf_characters_{_SIDE}x{_SIDE}_v1.npz"
_HOST = ("github.com", 443)


def default_data_dir(data_dir: str | os.PathLike[str] | None = None) -> str:
    """Say where data sets are kept.

    Args:
        data_dir: A folder, or `None` for the environment variable `WARPTF_DATA_DIR`, or, where
            that is not set, the folder that TensorFlow Datasets uses.

    Returns:
        An absolute path.
    """
    chosen = data_dir or os.environ.get("WARPTF_DATA_DIR")
    chosen = chosen or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return os.path.abspath(os.path.expanduser(os.fspath(chosen)))


def omniglot_bank(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True
) -> CharacterBank:
    """Read Omniglot's 1,623 characters of 50 alphabets, 20 drawings each, at 28x28.

    Where the data set is not prepared yet, TensorFlow Datasets downloads and prepares it. The
    decoded drawings are kept beside it in one file, if that folder can be written to.

    Args:
        data_dir: See `default_data_dir`.
        download: Whether a download may be tried.

    Returns:
        The characters of both splits, in the order of their labels.

    Raises:
        FileNotFoundError: If the data set is not prepared and cannot be downloaded.
    """
    directory = default_data_dir(data_dir)
    cache = os.path.join(directory, "omniglot", _CACHE)
    with contextlib.suppress(FileNotFoundError, ValueError):
        return CharacterBank.load(cache)
    builder = _builder(directory)
    if not builder.is_prepared():
        _download(builder, directory, download)
    bank = _decode(builder)
    with contextlib.suppress(OSError):
        bank.save(cache)
    return bank


def prepare_omniglot(
    archives: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> str:
    """Build TensorFlow Datasets' own Omniglot from archives on disk, without a network.

    The result is what `tfds.load("omniglot", data_dir=data_dir)` reads. The archives are checked
    by what they hold rather than by their checksums, so that repacked ones serve as well. The data
    set is built aside and moved into place when it is complete.

    Args:
        archives: The folder with `images_background.zip`, `images_evaluation.zip`,
            `images_background_small1.zip` and `images_background_small2.zip`.
        data_dir: See `default_data_dir`.
        progress: Called with a line of text when a stage begins.

    Returns:
        The folder of the prepared data set.

    Raises:
        FileNotFoundError: If an archive is missing.
        ValueError: If an archive is truncated, damaged or incomplete.
    """
    archives = os.path.abspath(os.path.expanduser(os.fspath(archives)))
    directory = default_data_dir(data_dir)
    report = progress or (lambda line: None)
    prepared = _builder(directory)
    target = os.fspath(prepared.data_dir)
    if prepared.is_prepared():
        report(f"already prepared in {target}")
        return target
    check_archives(archives, report)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    aside = tempfile.mkdtemp(prefix=".preparing-", dir=os.path.dirname(target))
    try:
        builder = _builder(os.path.join(aside, "prepared"))
        split_generators = builder._split_generators
        unpacked = _Unpacked(archives, os.path.join(aside, "unpacked"), report)
        builder._split_generators = lambda manager: split_generators(unpacked)
        # What the builder prints names the folder aside, which is about to be moved.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
        os.rename(builder.data_dir, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    report(f"prepared {target}")
    return target


class _Unpacked:
    """Stands in for the download manager that the builder asks for extracted archives."""

    def __init__(self, archives: str, target: str, report: Callable[[str], None]) -> None:
        self._archives, self._target, self._report = archives, target, report

    def download_and_extract(self, urls: dict[str, str]) -> dict[str, str]:
        """Unpack the archives named by the keys of `urls`."""
        self._report("unpacking the archives")
        folders = {key: unpack_archive(self._archives, key, self._target) for key in urls}
        self._report("writing the data set")
        return folders


def _builder(directory: str) -> Any:
    import tensorflow_datasets as tfds

    return tfds.builder("omniglot", data_dir=directory)


def _download(builder: Any, directory: str, download: bool) -> None:
    remedy = (
        f"Omniglot is not prepared in {directory!r} and {{}}; prepare it from its archives with "
        f"`warptf data prepare omniglot --archives DIR --data-dir {directory}`."
    )
    if not download:
        raise FileNotFoundError(remedy.format("`download` is False"))
    unreachable = unreachable_host([_HOST])
    if unreachable is not None:
        raise FileNotFoundError(remedy.format(f"{unreachable} cannot be reached"))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except Exception as error:
        reason = f"the download failed ({type(error).__name__})"
        raise FileNotFoundError(remedy.format(reason)) from error


def _decode(builder: Any) -> CharacterBank:
    """Read both splits, shrink the drawings and sort them by character."""
    import tensorflow_datasets as tfds

    images = np.zeros([_CHARACTERS, DRAWINGS, _SIDE, _SIDE], np.uint8)
    alphabets = np.zeros([_CHARACTERS], np.int32)
    filled = np.zeros([_CHARACTERS], np.int32)
    for split in ("train", "test"):
        examples = builder.as_dataset(
            split=split, shuffle_files=False, decoders={"image": tfds.decode.SkipDecoding()}
        )
        for x, label, alphabet in examples.map(_small).batch(500).as_numpy_iterator():
            alphabets[label] = alphabet
            for drawing, character in zip(x, label, strict=True):
                images[character, filled[character]] = drawing
                filled[character] += 1
    if not (filled == DRAWINGS).all():
        raise ValueError(
            f"Omniglot in {builder.data_dir} is incomplete: {int(filled.sum())} drawings, "
            f"expected {images[:, :, 0, 0].size}; delete that folder and prepare it anew."
        )
    return CharacterBank(images, alphabets, builder.info.features["alphabet"].names)


def _small(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """White paper and black ink, 105x105, to ink 255 at 28x28, without aliasing."""
    image = tf.ensure_shape(tf.io.decode_png(example["image"], channels=1), [105, 105, 1])
    ink = 255.0 - tf.cast(image, tf.float32)
    small = tf.image.resize(ink, [_SIDE, _SIDE], method="bilinear", antialias=True)
    small = tf.cast(tf.round(tf.clip_by_value(small, 0.0, 255.0)), tf.uint8)
    return small[..., 0], example["label"], example["alphabet"]
