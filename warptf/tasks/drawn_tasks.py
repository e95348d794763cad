"""What tasks have in common that are drawn at random, without end, instead of made of classes."""

import abc

import tensorflow as tf

SPLITS = ("train", "validation", "test")


class DrawnTasks(abc.ABC):
    """Task distributions whose training tasks never end and whose others are a fixed number.

    Subclasses set `seed`, an integer that all draws derive from.
    """

    seed: int

    @property
    def train(self) -> tf.data.Dataset:
        """Meta-training batches without end, from meta-step 0."""
        return self.train_from(0)

    @property
    def validation(self) -> tf.data.Dataset:
        """Always the same tasks, none of which is met in training."""
        return self._evaluation("validation")

    @property
    def test(self) -> tf.data.Dataset:
        """Always the same other tasks."""
        return self._evaluation("test")

    @abc.abstractmethod
    def train_from(self, step: int) -> tf.data.Dataset:
        """Meta-training batches without end; batch `i` depends on the seed and `step + i` only.

        Args:
            step: The meta-step to start at.

        Returns:
            A data set of `Task`.
        """

    def describe(self) -> dict[str, list[str]]:
        """Tells what the tasks of each split are.

        Returns:
            For "train", "validation" and "test", a line on them.
        """
        numbers = {"train": "endless", "validation": self._count, "test": self._count}
        return {split: [f"{numbers[split]} tasks drawn with seed {self.seed}"] for split in SPLITS}

    @property
    @abc.abstractmethod
    def _count(self) -> int:
        """The number of validation tasks, and of test tasks."""

    @abc.abstractmethod
    def _evaluation(self, split: str) -> tf.data.Dataset:
        """The tasks of a split that is not for training."""

    def _key(self, split: str, index: tf.Tensor) -> tf.Tensor:
        """The seed of one task, or of one meta-batch."""
        seed = tf.constant([self.seed, SPLITS.index(split)], tf.int64)
        return tf.random.experimental.stateless_fold_in(seed, index)
