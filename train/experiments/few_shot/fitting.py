"""Tasks that a folder of images has enough classes and images for."""

import dataclasses
from typing import Any

from warptf.tasks import ClassSplit, ImageBank
from warptf.tasks.held_out_images import held_out_images

from ...engine.run_options import flag
from .backbone_model import report
from .config import FewShotConfig
from .data import read_images

# With fewer classes in a part, images are held out instead.
_FEWEST = 3


def fitted_to_folder(config: FewShotConfig, given: set[str]) -> FewShotConfig:
    """Returns a configuration whose tasks a folder of images has enough for, and says what changed.

    Args:
        config: A valid configuration.
        given: Names of the fields that the user chose, which stay.
    """
    if not config.source.few_classes or config.splits is not None:
        return config
    bank = read_images(config)
    changes: dict[str, Any] = {}
    if "hold_out" not in given and _smallest_part(config, bank, "classes") < _FEWEST:
        changes["hold_out"] = "images"
    hold_out = changes.get("hold_out", config.hold_out)
    ways = _smallest_part(config, bank, hold_out)
    if "ways" not in given and 2 <= ways < config.ways:
        changes["ways"] = ways
    images = _smallest_classes(config, bank, hold_out)
    for name, shots, most in (
        ("queries", config.shots, images[0]),
        ("evaluation_queries", config.evaluation_shots, images[1]),
    ):
        fitting = most - shots
        if name not in given and 1 <= fitting < getattr(config, name):
            changes[name] = fitting
    if changes:
        sizes = bank.class_sizes.values()
        chosen = " ".join(f"{flag(name)} {value}" for name, value in changes.items())
        report(
            f"fitted to {len(bank.names)} classes of {min(sizes)} to {max(sizes)} images: {chosen}"
        )
    return dataclasses.replace(config, **changes)


def _smallest_part(config: FewShotConfig, bank: ImageBank, hold_out: str) -> int:
    """Returns how many classes the smallest part has."""
    if hold_out == "images":
        return len(bank.names)
    if len(bank.names) < 3:
        return 0
    split = ClassSplit.random(bank.names, config.fractions, config.seed)
    return min(map(len, split.parts.values()))


def _smallest_classes(config: FewShotConfig, bank: ImageBank, hold_out: str) -> tuple[int, int]:
    """Returns how many images the smallest class has, of training and of evaluation tasks."""
    smallest = min(bank.class_sizes.values())
    if hold_out == "classes" or smallest < 3:
        return smallest, smallest
    sizes = held_out_images(bank, config.fractions, config.seed)[0].class_sizes
    trained = [size for name, size in sizes.items() if name.startswith("train/")]
    return min(trained), min(s for name, s in sizes.items() if not name.startswith("train/"))
