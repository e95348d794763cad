"""Omniglot by characters: every character is a class, and so is each of its quarter turns."""

import os

import numpy as np

from warptf.tasks.character_bank import CharacterBank
from warptf.tasks.class_split import ClassSplit, checked_seed
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.omniglot import omniglot_bank

_TURNS = 4


def omniglot_characters(
    data_dir: str | os.PathLike[str] | None = None,
    rotations: bool = True,
    *,
    download: bool = True,
) -> ImageBank:
    """Read Omniglot's characters, 20 drawings of 28x28x1 each, ink is 255.

    Classes are named as the folders of the original archives, `Alphabet/characterNN`; turned ones
    as `character_classes` says.

    Args:
        data_dir: See `default_data_dir`.
        rotations: Whether turned characters are classes of their own: 6,492 classes, else 1,623.
            Defaults to `True`.
        download: Whether a download may be tried. Defaults to `True`.

    Returns:
        The images, sorted by the names of their classes.

    Raises:
        FileNotFoundError: If the data set is not prepared and cannot be downloaded.

    Reference:
        [Matching Networks for One Shot Learning](https://arxiv.org/abs/1606.04080), section 4.1.1.
    """
    return character_classes(omniglot_bank(data_dir, download=download), rotations)


def character_classes(bank: CharacterBank, rotations: bool = True) -> ImageBank:
    """Make every character of a bank a class.

    Classes are named `Alphabet/characterNN`, numbered within each alphabet from 1. With rotations
    every character gives four classes, `Alphabet/characterNN/rot000`, `rot090`, `rot180` and
    `rot270`, turned counter-clockwise by these angles, as is common in few-shot learning.

    Args:
        bank: The characters, such as `glyph_bank()`.
        rotations: Whether turned characters are classes of their own. Defaults to `True`.

    Returns:
        The images, sorted by the names of their classes.

    >>> import numpy as np
    >>> bank = CharacterBank(np.zeros([3, 20, 28, 28], "uint8"), [0, 0, 1], ["Latin", "Greek"])
    >>> character_classes(bank, rotations=False).names
    ('Greek/character01', 'Latin/character01', 'Latin/character02')
    >>> character_classes(bank)
    ImageBank(12 classes, 240 images, 28x28x1)
    """
    # The numbers of characters run through each alphabet in the order of its folders.
    order = np.concatenate([np.flatnonzero(bank.alphabets == i) for i in _sorted(bank.names)])
    names = [
        f"{name}/character{number:02d}"
        for name in sorted(bank.names)
        for number in range(1, bank.alphabet_sizes[name] + 1)
    ]
    images = bank.images[order][:, None]
    if rotations:
        turned = [np.rot90(images, turns, axes=(-2, -1)) for turns in range(_TURNS)]
        images = np.concatenate(turned, axis=1)
        names = [f"{name}/rot{90 * turns:03d}" for name in names for turns in range(_TURNS)]
    images = images.reshape(-1, *bank.image_shape)
    images.setflags(write=False)
    return ImageBank(images, np.repeat(np.arange(len(names)), bank.drawings), names)


def alphabet_split(
    bank: ImageBank, validation: int = 5, test: int = 10, seed: int = 0
) -> ClassSplit:
    """Cut characters so that no alphabet is in two parts.

    Args:
        bank: A bank whose classes are named `Alphabet/...`.
        validation: Number of alphabets for validation. Defaults to 5.
        test: Number of alphabets for the meta-test. Which they are does not depend on `validation`.
            Defaults to 10.
        seed: An integer that the cut depends on. Defaults to 0.

    Returns:
        A split of all classes of the bank; alphabets that remain are for training.

    Raises:
        ValueError: If a count is below 1, or leaves no alphabet for training.

    >>> import numpy as np
    >>> names = ["Greek/character01", "Greek/character02", "Latin/character01", "ULOG/character01"]
    >>> bank = ImageBank(np.zeros([4, 28, 28, 1], "uint8"), range(4), names)
    >>> alphabet_split(bank, validation=1, test=1, seed=7).train
    ('Greek/character01', 'Greek/character02')
    """
    alphabets = sorted({_alphabet(name) for name in bank.names})
    for part, count in (("validation", validation), ("test", test)):
        if count < 1:
            raise ValueError(f"`{part}` must be at least 1, received {count!r}.")
    if validation + test >= len(alphabets):
        raise ValueError(
            f"`validation` ({validation}) and `test` ({test}) leave none of the {len(alphabets)} "
            "alphabets of `bank` for training; lower one of them."
        )
    # The legacy generator's stream is frozen for good, that of numpy.random.Generator is not.
    order = np.random.RandomState(checked_seed(seed)).permutation(alphabets).tolist()
    chosen = {
        "train": set(order[test + validation :]),
        "validation": set(order[test : test + validation]),
        "test": set(order[:test]),
    }
    parts = {p: [n for n in bank.names if _alphabet(n) in some] for p, some in chosen.items()}
    return ClassSplit(**parts)


def _alphabet(name: str) -> str:
    return name.split("/")[0]


def _sorted(names: tuple[str, ...]) -> list[int]:
    return sorted(range(len(names)), key=names.__getitem__)
