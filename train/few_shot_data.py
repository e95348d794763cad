"""The images and the class split of a few-shot configuration."""

import sys
from typing import Any

from warptf import tasks
from warptf.tasks import ClassSplit, ImageBank

from .character_data import character_images
from .few_shot_config import CHARACTERS, FewShotConfig


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
    form: dict[str, Any] = dict(image_size=size, resize=config.resize, progress=_report)
    if config.data == "csv":
        return tasks.csv_images_bank(images, lists, **form)
    if config.data == "tiered":
        return tasks.tiered_imagenet_bank(images, lists, size, progress=_report)
    if config.data in ("cifar-fs", "fc100"):
        read = tasks.cifar_fs if config.data == "cifar-fs" else tasks.fc100
        return read(config.data_dir, lists, progress=_report)
    if config.data == "folder":
        bank = tasks.image_folder_bank(images, **form)
    elif config.data == "tfds":
        name = str(config.tfds_name)
        bank = tasks.tfds_bank(name, config.data_dir, image_size=size, progress=_report)
    else:
        bank = character_images(config.data, config.data_dir)
    return bank, _split(config, bank)


def _split(config: FewShotConfig, bank: ImageBank) -> ClassSplit:
    if config.splits is not None:
        read = ClassSplit.from_json if config.splits.is_file() else ClassSplit.from_directory
        return read(config.splits).expanded(bank)
    if config.data in CHARACTERS:
        return tasks.alphabet_split(bank, seed=config.seed)
    return ClassSplit.random(bank.names, config.fractions, config.seed)


def _report(line: str) -> None:
    print(line, file=sys.stderr)
