"""Few-shot tasks of features that a frozen backbone has computed."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf.tasks import ClassSplit, FewShot, ImageBank, feature_bank

from .backbone_model import report

# Images that the mean of the features is taken over, at most.
_FOR_MEAN = 2000


class FeatureTasks(FewShot):
    """Tasks whose images are replaced by their features, with the model that computed them.

    Args:
        bank: The images.
        split: Which of the bank's classes are in which split.
        features: The frozen model, from images to features.
        **arguments: Those of `FewShot`.

    Attributes:
        features: The frozen model.
        pixels: `(height, width, channels)` of the images.
    """

    def __init__(
        self, bank: ImageBank, split: ClassSplit, features: keras.Model, **arguments: Any
    ) -> None:
        self.features = features
        self.pixels = bank.image_shape
        self._feature_bank = feature_bank(bank, features, progress=report)
        super().__init__(self._feature_bank, split, **arguments)

    def centroid_accuracy(self) -> float | None:
        """Returns the accuracy on the test tasks of what needs no training at all.

        Each query is of the class whose mean of the support features is nearest by cosine. `None`
        where the frozen part does not give vectors.
        """
        if len(self.image_shape) != 1 or self.steps is not None:
            return None
        hits = []
        for batch in self.test:
            (support, labels), (query, targets) = batch.support, batch.query
            members = tf.one_hot(labels, self.evaluation_ways)
            # Lengths of means do not matter, so sums do.
            means = tf.math.l2_normalize(tf.einsum("tsd,tsc->tcd", support, members), axis=-1)
            nearest = tf.argmax(tf.einsum("tqd,tcd->tqc", query, means), -1, tf.int32)
            hits.append(tf.reduce_mean(tf.cast(nearest == targets, tf.float32), -1))
        return float(tf.reduce_mean(tf.concat(hits, 0)))

    def training_features(self) -> np.ndarray:
        """Returns features of images of the training classes, evenly spread over them."""
        bank = self._feature_bank
        names = set(self.describe()["train"])
        mine = np.flatnonzero([bank.names[label] in names for label in bank.labels])
        return np.asarray(bank.images[mine[:: max(1, -(-len(mine) // _FOR_MEAN))]])
