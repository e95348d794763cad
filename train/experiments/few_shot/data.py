"""The images and the class split of a few-shot configuration."""

import sys
from typing import Any

from warptf import tasks
from warptf.tasks import ClassSplit, ImageBank

from ...engine.flag_names import names_flags, naming_flags
from ..character_data import character_images
from .config import FewShotConfig


@names_flags()
def read_data(config: FewShotConfig) -> tuple[ImageBank, ClassSplit]:
    """Returns the images and which of their classes are in which split.

    Args:
        config: A valid configuration.

    Raises:
        FileNotFoundError: If images or lists are missing.
        ValueError: If they do not fit, or images are corrupt or of a wrong size.
    """
    read = config.source.read(config)
    return read if isinstance(read, tuple) else (read, _split(config, read))


def read_csv(config: FewShotConfig) -> tuple[ImageBank, ClassSplit]:
    """Returns the images that lists name, and the split that the lists are."""
    # A valid configuration has what its source needs.
    images: Any = config.images
    form = dict(image_size=config.image_size, resize=config.resize, **_limits(config))
    with naming_flags(config, "images", images_dir="images", **_in_lists(config)):
        return tasks.csv_images_bank(images, _lists(config), **form)


def read_tiered(config: FewShotConfig) -> tuple[ImageBank, ClassSplit]:
    """Returns tieredImageNet and its published split."""
    images: Any = config.images
    size: Any = config.image_size
    with naming_flags(config, "images", ilsvrc_train_dir="images", **_in_lists(config)):
        return tasks.tiered_imagenet_bank(images, _lists(config), size, **_limits(config))


def read_cifar_fs(config: FewShotConfig) -> tuple[ImageBank, ClassSplit]:
    """Returns CIFAR-FS and its published split."""
    with naming_flags(config, "data", **_in_lists(config)):
        return tasks.cifar_fs(config.data_dir, _lists(config), progress=_report)


def read_fc100(config: FewShotConfig) -> tuple[ImageBank, ClassSplit]:
    """Returns FC100 and its published split."""
    with naming_flags(config, "data", **_in_lists(config)):
        return tasks.fc100(config.data_dir, _lists(config), progress=_report)


def read_folder(config: FewShotConfig) -> ImageBank | tuple[ImageBank, ClassSplit]:
    """Returns the images of a folder of folders, and a split where images are held out."""
    bank = read_images(config)
    if config.hold_out == "images":
        with naming_flags(config, "images", bank="images"):
            return tasks.held_out_images(bank, config.fractions, config.seed)
    return bank


def read_tfds(config: FewShotConfig) -> ImageBank:
    """Returns a set of TensorFlow Datasets."""
    name, size = str(config.tfds_name), config.image_size
    with naming_flags(config, "tfds_name", name="tfds_name"):
        return tasks.tfds_bank(name, config.data_dir, image_size=size, progress=_report)


def read_characters(config: FewShotConfig) -> ImageBank:
    """Returns characters as classes."""
    with naming_flags(config, "data"):
        return character_images(config.data, config.data_dir)


def read_images(config: FewShotConfig) -> ImageBank:
    """Returns the images of a folder of folders.

    Args:
        config: A valid configuration with `--data folder`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If images are corrupt or of a wrong size.
    """
    images: Any = config.images
    with naming_flags(config, "images", directory="images"):
        return tasks.image_folder_bank(
            images,
            image_size=config.image_size,
            resize=config.resize,
            max_pixels=config.max_pixels,
            progress=_report,
        )


def _lists(config: FewShotConfig) -> Any:
    return config.splits


def _limits(config: FewShotConfig) -> dict[str, Any]:
    return dict(max_pixels=config.max_pixels, progress=_report)


def _split(config: FewShotConfig, bank: ImageBank) -> ClassSplit:
    if config.splits is not None:
        read = ClassSplit.from_json if config.splits.is_file() else ClassSplit.from_directory
        with naming_flags(config, "splits", **_in_lists(config)):
            return read(config.splits).expanded(bank)
    with naming_flags(config, "data", names="the classes"):
        if config.source.characters:
            return tasks.alphabet_split(bank, seed=config.seed)
        return ClassSplit.random(bank.names, config.fractions, config.seed)


def _in_lists(config: FewShotConfig) -> dict[str, str]:
    """Returns what the arguments are that readers of lists speak of."""
    parts = ("train", "validation", "test")
    return {
        **dict.fromkeys(("path", "directory", "csv_files", "lists_dir"), "splits"),
        "bank": "the data",
        **{part: f"--splits {config.splits}, {part}" for part in parts},
    }


def _report(line: str) -> None:
    print(line, file=sys.stderr)
