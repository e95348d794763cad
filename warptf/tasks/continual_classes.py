"""Continual classification: groups of classes learned one after another."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.class_images import ClassImages, classes_of, smallest
from warptf.tasks.class_split import ClassSplit
from warptf.tasks.continual_tasks import ContinualTasks, SubTask
from warptf.tasks.drawn_tasks import SPLITS
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.mini_batches import as_floats, checked_count
from warptf.tasks.wording import some_of

_BEYOND = np.iinfo(np.int32).max


class ContinualClasses(ContinualTasks):
    r"""Sequences of groups of classes, told apart by one learner with one set of logits.

    A task has `T` groups of `ways` random classes each, all different; sub-task $i$ shows the
    $i$-th group, whose labels are `i * ways` to `(i + 1) * ways - 1`. The learner needs `T * ways`
    logits and is never told which group an image is of. Of each class the last `held_out` images
    are kept for scoring; all others may be drawn in adaptation, with replacement.

    Axes: those of `ContinualTasks`; `x` are images `[..., height, width, channels]` in [0, 1], `y`
    labels `[...]`.

    Args:
        bank: The images.
        split: Which classes meta-train, validate and test.
        ways: Classes of a sub-task. Defaults to 4.
        held_out: Images of each class that scoring draws from, and adaptation does not. Defaults to
            5.
        **kwargs: The arguments of `ContinualTasks`.

    Raises:
        ValueError: If a part of the split has fewer classes than a task takes, or a class no more
            images than are held out.

    >>> import numpy as np
    >>> bank = ImageBank(np.zeros([60, 8, 8, 1], "uint8"), np.arange(60) % 6, list("abcdef"))
    >>> split = ClassSplit(["a", "b"], ["c", "d"], ["e", "f"])
    >>> tasks = ContinualClasses(bank, split, ways=1, sub_tasks=2, steps=3, batch_size=4)
    >>> task = next(iter(tasks.train))
    >>> print(task.support[0].shape, task.query[1].shape)
    (5, 6, 4, 8, 8, 1) (5, 6, 8)
    """

    def __init__(
        self, bank: ImageBank, split: ClassSplit, ways: int = 4, held_out: int = 5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.ways = checked_count("ways", ways)
        self.held_out = checked_count("held_out", held_out)
        self.image_shape = bank.image_shape
        split.check(bank)
        self._bank, self._split = bank, split
        self._classes = {name: classes_of(bank, split.parts[name]) for name in SPLITS}
        for name, classes in self._classes.items():
            self._check(name, classes)

    @property
    def classes(self) -> int:
        """The number of logits that a learner needs."""
        return self.sub_tasks * self.ways

    def draw(self, sub_task: SubTask, seed: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws images of the classes of a sub-task, with replacement."""
        images, sizes = self._classes[sub_task.split]
        order = tf.random.stateless_uniform([len(sizes)], sub_task.task, 0, _BEYOND, tf.int32)
        group = smallest(order, self.classes)[sub_task.number * self.ways :][: self.ways]
        which_seed, place_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        which = tf.random.stateless_uniform([count], which_seed, 0, self.ways, tf.int32)
        classes = tf.gather(group, which)
        learned = tf.cast(tf.gather(sizes, classes) - self.held_out, tf.float32)
        uniform = tf.random.stateless_uniform([count], place_seed)
        if sub_task.held_out:
            places = learned + tf.floor(self.held_out * uniform)
        else:
            places = tf.floor(learned * uniform)
        chosen = tf.gather(
            tf.gather(images, classes), tf.cast(places, tf.int32), axis=1, batch_dims=1
        )
        x = as_floats(tf.gather(self._images, chosen))
        return x, sub_task.number * self.ways + which

    def describe(self) -> dict[str, list[str]]:
        """Tells which classes are in which split.

        Returns:
            Names of classes for "train", "validation" and "test".
        """
        return {name: list(classes) for name, classes in self._split.parts.items()}

    @functools.cached_property
    def _images(self) -> tf.Tensor:
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self._bank.images)

    def _check(self, name: str, classes: ClassImages) -> None:
        parts = self._split.parts[name]
        if len(parts) < self.classes:
            raise ValueError(
                f"`split`: {name} has {len(parts)} classes ({some_of(parts)}), fewer than the "
                f"{self.classes} of `sub_tasks` ({self.sub_tasks}) times `ways` ({self.ways}); "
                f"lower one of them or move classes to that part."
            )
        small = [parts[i] for i in np.flatnonzero(classes.sizes <= self.held_out)]
        if small:
            raise ValueError(
                f"`split`: classes of {name} with no more images than `held_out` "
                f"({self.held_out}): {some_of(small)}; lower it, or leave these classes out of "
                f"`split`."
            )
