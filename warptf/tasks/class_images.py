"""Which images belong to each class of a split, as arrays to draw from in the graph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from warptf.tasks.image_bank import ImageBank


class ClassImages(NamedTuple):
    """Numbers of the images of each class of a split.

    Args:
        images: `[classes, largest class]`; a class with fewer images is filled up with zeros.
        sizes: `[classes]`.
    """

    images: np.ndarray
    sizes: np.ndarray


def classes_of(bank: ImageBank, names: Sequence[str]) -> ClassImages:
    """Returns the images of classes.

    Args:
        bank: the images.
        names: names of the classes.
    """
    order = np.argsort(bank.labels, kind="stable")
    bounds = np.cumsum(np.bincount(bank.labels, minlength=len(bank.names)))
    members = dict(zip(bank.names, np.split(order, bounds[:-1]), strict=True))
    sizes = np.array([len(members[name]) for name in names], np.int32)
    images = np.zeros([len(names), sizes.max()], np.int32)
    for row, name in zip(images, names, strict=True):
        row[: len(members[name])] = members[name]
    return ClassImages(images, sizes)


def smallest(numbers: tf.Tensor, count: int) -> tf.Tensor:
    """Returns places of the smallest numbers, along the last axis.

    Of random numbers they are a random selection without replacement.

    Args:
        numbers: `[..., N]`.
        count: how many places.
    """
    return tf.math.top_k(-numbers, count).indices
