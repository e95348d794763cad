"""The images and the class split of a few-shot configuration."""

import sys
from typing import Any

from warptf import tasks
from warptf.tasks import ClassSplit, ImageBank

from ...engine.flag_names import names_flags, naming_flags
from ..character_data import character_images
from .config import CHARACTERS, FewShotConfig


@names_flags()
def read_data(config: FewShotConfig) -> tuple[ImageBank, ClassSplit]:
    """Returns the images and which of their classes are in which split.

    Args:
        config: A valid configuration.

    Raises:
        FileNotFoundError: If images or lists are missing.
        ValueError: If they do not fit, or images are corrupt or of a wrong size.
    """
    # A valid configuration has what its source of data needs.
    images: Any = config.images
    lists: Any = config.splits
    size: Any = config.image_size
    most: dict[str, Any] = dict(max_pixels=config.max_pixels, progress=_report)
    form: dict[str, Any] = dict(image_size=size, resize=config.resize, **most)
    lists_are = _in_lists(config)
    if config.data == "csv":
        with naming_flags(config, "images", images_dir="images", **lists_are):
            return tasks.csv_images_bank(images, lists, **form)
    if config.data == "tiered":
        with naming_flags(config, "images", ilsvrc_train_dir="images", **lists_are):
            return tasks.tiered_imagenet_bank(images, lists, size, **most)
    if config.data in ("cifar-fs", "fc100"):
        read = tasks.cifar_fs if config.data == "cifar-fs" else tasks.fc100
        with naming_flags(config, "data", **lists_are):
            return read(config.data_dir, lists, progress=_report)
    if config.data == "folder":
        bank = read_images(config)
        if config.hold_out == "images":
            with naming_flags(config, "images", bank="images"):
                return tasks.held_out_images(bank, config.fractions, config.seed)
    else:
        bank = _bank(config)
    return bank, _split(config, bank)


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


def _bank(config: FewShotConfig) -> ImageBank:
    if config.data == "tfds":
        name, size = str(config.tfds_name), config.image_size
        with naming_flags(config, "tfds_name", name="tfds_name"):
            return tasks.tfds_bank(name, config.data_dir, image_size=size, progress=_report)
    with naming_flags(config, "data"):
        return character_images(config.data, config.data_dir)


def _split(config: FewShotConfig, bank: ImageBank) -> ClassSplit:
    if config.splits is not None:
        read = ClassSplit.from_json if config.splits.is_file() else ClassSplit.from_directory
        with naming_flags(config, "splits", **_in_lists(config)):
            return read(config.splits).expanded(bank)
    with naming_flags(config, "data", names="the classes"):
        if config.data in CHARACTERS:
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
