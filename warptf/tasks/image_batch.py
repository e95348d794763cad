"""Batches of images, as augmentations take them."""

from typing import Any

import tensorflow as tf


def image_batch(images: Any) -> tuple[tf.Tensor, int | tf.Tensor]:
    """Returns a batch of images as a tensor, and how many they are.

    Args:
        images: `[N, height, width, channels]`.

    Raises:
        ValueError: If there are other axes.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4:
        raise ValueError(
            "`images` must be [N, height, width, channels], received shape "
            f"{images.shape}; add or flatten axes."
        )
    return images, images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
