"""Random flips, crops and colours of photographs, one call for a whole batch."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from warptf.tasks.image_batch import image_batch

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look.


@dataclasses.dataclass(frozen=True)
class ImageAugmentation:
    """Flip, shift and recolour each image at random.

    In this order: the image, with zeros around it, is cropped to its size at a random place, and
    mirrored left to right with probability one half; its values are multiplied by a factor
    (brightness), then their distance from the mean grey value of the image (contrast), then their
    distance from the grey value of their pixel (saturation). Values are cut to [0, 1] after each
    of these. Factors are uniform in [1 - strength, 1 + strength], shifts uniform among whole
    numbers of pixels, and all of them independent for every image.

    Args:
        flip: Whether to mirror. Defaults to `True`.
        padding: The largest shift in each direction, in pixels. Defaults to 8.
        brightness: Strength, in [0, 1]. Defaults to 0.4.
        contrast: Strength, in [0, 1]. Defaults to 0.4.
        saturation: Strength, in [0, 1]. Defaults to 0.4.

    Raises:
        TypeError: If `padding` is no integer.
        ValueError: If a number is out of bounds.

    >>> import numpy as np
    >>> images = np.random.RandomState(0).uniform(size=[2, 84, 84, 3]).astype("float32")
    >>> augmented = ImageAugmentation()(images, seed=[0, 1])
    >>> augmented.shape
    TensorShape([2, 84, 84, 3])
    >>> bool(np.all(augmented == ImageAugmentation()(images, seed=[0, 1])))
    True

    Reference:
        [A Closer Look at Few-shot Classification](https://arxiv.org/abs/1904.04232), section 4.1,
        for crops, flips and colour jitter in few-shot training.
    """

    flip: bool = True
    padding: int = 8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4

    def __post_init__(self) -> None:
        padding = self.padding
        if isinstance(padding, bool) or not isinstance(padding, (int, np.integer)):
            raise TypeError(f"`padding` must be an integer, received {padding!r}.")
        if padding < 0:
            raise ValueError(f"`padding` must be 0 or more pixels, received {padding}.")
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be a strength from 0 to 1, received {getattr(self, name)!r}."
                )

    def __call__(self, images: Any, seed: Any) -> tf.Tensor:
        """Augment a batch.

        Args:
            images: `[N, height, width, channels]`, floats in [0, 1]. Grey is ITU-R BT.601's sum for
                three channels, else the mean of the channels.
            seed: Two integers; the result depends on nothing else.

        Returns:
            A tensor of the shape and type of `images`.
        """
        images, count = image_batch(images)
        places, colours = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        moved = self._moved(images, tf.random.stateless_uniform([3, count], places))
        recoloured = self._recoloured(moved, tf.random.stateless_uniform([3, count], colours))
        return tf.ensure_shape(recoloured, images.shape)

    def _moved(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Crop and mirror, by the rows and columns that each pixel is taken from."""
        height, width = images.shape[1:3]
        pad = [self.padding, self.padding]
        offsets = tf.cast(tf.floor(uniform[:2] * (2 * self.padding + 1)), tf.int32)
        rows = offsets[0][:, None] + tf.range(height)
        columns = tf.range(width) * tf.ones_like(offsets[1])[:, None]
        if self.flip:
            columns = tf.where(uniform[2][:, None] < 0.5, columns, width - 1 - columns)
        columns += offsets[1][:, None]
        padded = tf.pad(images, [[0, 0], pad, pad, [0, 0]])
        padded = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(padded, columns, axis=2, batch_dims=1)

    def _recoloured(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        strengths = tf.constant([self.brightness, self.contrast, self.saturation], tf.float32)
        factors = tf.cast(1 + strengths[:, None] * (2 * uniform - 1), images.dtype)
        brightness, contrast, saturation = tf.unstack(factors[..., None, None, None])
        images = tf.clip_by_value(brightness * images, 0, 1)
        mean = tf.reduce_mean(_grey(images), axis=(1, 2, 3), keepdims=True)
        images = tf.clip_by_value(mean + contrast * (images - mean), 0, 1)
        grey = _grey(images)
        return tf.clip_by_value(grey + saturation * (images - grey), 0, 1)


def _grey(images: tf.Tensor) -> tf.Tensor:
    if images.shape[-1] != 3:
        return tf.reduce_mean(images, axis=-1, keepdims=True)
    return tf.reduce_sum(images * tf.constant(_LUMA, images.dtype), axis=-1, keepdims=True)
