"""The registry of sources of images.

A new source is a function that reads it and an entry here: the choices of the command line, what
each needs and which options apply follow.
"""

import dataclasses
from typing import Any

from . import entries


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where classes of images come from, and what applies to it.

    Args:
        reader: The module of the function that reads it, below `warptf.train`, and the function:
            from a configuration to the images, or to the images and a split of their classes.
        alphabets: The function of `warptf.tasks` that returns its alphabets, of characters.
        images: What its folder of images is, where `--images` must be given.
        splits: What its lists of classes are, where `--splits` must be given.
        named: Whether `--tfds-name` must be given.
        one_size: Whether all images have the size that they are learned in.
        sizes_differ: Whether images are to be resized in any case.
        resizes: Whether resizing can be turned off.
        few_classes: Whether images can be held out instead of classes.
        experiments: Those that offer it.
    """

    reader: str
    alphabets: str | None = None
    images: str | None = None
    splits: str | None = None
    named: bool = False
    one_size: bool = False
    sizes_differ: bool = False
    resizes: bool = False
    few_classes: bool = False
    experiments: tuple[str, ...] = ("few-shot",)

    @property
    def characters(self) -> bool:
        """Whether the images are characters, which come by alphabets."""
        return self.alphabets is not None

    @property
    def has_split(self) -> bool:
        """Whether its classes are split without lists of the user's or a random cut."""
        return self.characters or self.splits is not None

    def read(self, config: Any) -> Any:
        """Returns what the reader returns.

        Args:
            config: A valid configuration.
        """
        return entries.load(self.reader)(config)


_DATA = "experiments.few_shot.data"
_WITH_ALPHABETS = ("multi-shot", "few-shot", "continual-sine")

SOURCES: dict[str, Source] = {
    "glyphs": Source(
        reader=f"{_DATA}:read_characters",
        alphabets="glyph_bank",
        one_size=True,
        experiments=_WITH_ALPHABETS,
    ),
    "omniglot": Source(
        reader=f"{_DATA}:read_characters",
        alphabets="omniglot_bank",
        one_size=True,
        experiments=_WITH_ALPHABETS,
    ),
    "folder": Source(
        reader=f"{_DATA}:read_folder",
        images="a folder with a folder of images for each class",
        resizes=True,
        few_classes=True,
    ),
    "csv": Source(
        reader=f"{_DATA}:read_csv",
        images="the folder of the images that the lists name",
        splits="the folder of train.csv, val.csv and test.csv (filename,label)",
        resizes=True,
    ),
    "tiered": Source(
        reader=f"{_DATA}:read_tiered",
        images="ILSVRC-12's training folder",
        splits="the folder of Ren et al.'s train.csv, val.csv and test.csv",
        sizes_differ=True,
    ),
    "tfds": Source(reader=f"{_DATA}:read_tfds", named=True),
    "cifar-fs": Source(
        reader=f"{_DATA}:read_cifar_fs",
        splits="the folder of its published lists of classes",
        one_size=True,
    ),
    "fc100": Source(
        reader=f"{_DATA}:read_fc100",
        splits="the folder of its published lists of superclasses",
        one_size=True,
    ),
}


def find(name: str) -> Source:
    """Returns a source.

    Args:
        name: Its name.

    Raises:
        ValueError: If there is none of that name.
    """
    return entries.find("--data", SOURCES, name)


def names(experiment: str) -> tuple[str, ...]:
    """Returns the sources that an experiment offers.

    Args:
        experiment: Its name.

    >>> names("multi-shot")
    ('glyphs', 'omniglot')
    """
    return entries.offered(SOURCES, experiment)


def needing(argument: str) -> tuple[str, ...]:
    """Returns the sources that must be given an argument.

    Args:
        argument: "images", "splits" or "named".

    >>> needing("named")
    ('tfds',)
    """
    return tuple(name for name, source in SOURCES.items() if getattr(source, argument))
