"""Splits of images, where there are too few classes to hold some out."""

from collections.abc import Sequence

import numpy as np

from warptf.tasks.class_split import ClassSplit, checked_seed
from warptf.tasks.image_bank import ImageBank

_PARTS = ("train", "validation", "test")


def held_out_images(
    bank: ImageBank, fractions: Sequence[float] = (0.64, 0.16, 0.2), seed: int = 0
) -> tuple[ImageBank, ClassSplit]:
    """Cuts the images of each class, at random, into three classes of the same kind.

    Tasks of the parts have the same kinds of classes, but no image in common: what is meta-trained
    is scored on new images, not on new classes.

    Args:
        bank: The images.
        fractions: Of each class's images for training, validation and test, up to a common factor.
            Defaults to (0.64, 0.16, 0.2).
        seed: An integer that the cut depends on. Defaults to 0.

    Returns:
        The same images, of classes named `train/NAME`, `validation/NAME` and `test/NAME`, and the
        split of these. Each has at least one image.

    Raises:
        ValueError: If a class has fewer than three images, or a fraction is not positive.

    >>> import numpy as np
    >>> bank = ImageBank(np.zeros([20, 8, 8, 3], "uint8"), np.repeat([0, 1], 10), ["cat", "dog"])
    >>> halves, split = held_out_images(bank, (0.5, 0.2, 0.3))
    >>> split.test, halves.class_sizes["test/dog"]
    (('test/cat', 'test/dog'), 3)
    """
    if len(fractions) != 3 or not all(0 < fraction < np.inf for fraction in fractions):
        raise ValueError(f"`fractions` must be three positive numbers, received {fractions!r}.")
    few = [name for name, size in bank.class_sizes.items() if size < len(_PARTS)]
    if few:
        raise ValueError(
            f"`bank`: {few[0]} has {bank.class_sizes[few[0]]} images, fewer than the three parts "
            "that they are to be cut into; add images, or leave the class out."
        )
    random = np.random.RandomState(checked_seed(seed))
    ends = np.cumsum(fractions) / np.sum(fractions)
    labels = np.empty_like(bank.labels)
    for number in range(len(bank.names)):
        mine = random.permutation(np.flatnonzero(bank.labels == number))
        first = int(np.clip(round(ends[0] * len(mine)), 1, len(mine) - 2))
        second = int(np.clip(round(ends[1] * len(mine)), first + 1, len(mine) - 1))
        for part, members in enumerate(np.split(mine, [first, second])):
            labels[members] = part * len(bank.names) + number
    names = [[f"{part}/{name}" for name in bank.names] for part in _PARTS]
    return ImageBank(bank.images, labels, sum(names, [])), ClassSplit(*names)
