"""Random affine distortion of images, one call for a whole batch."""

import dataclasses
import math
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.tasks.image_batch import image_batch


class AffineParameters(NamedTuple):
    """One affine map per image. Axes: `N` images.

    Args:
        scale: `[N]`, magnification, the same along both axes.
        rotation: `[N]`, radians, counter-clockwise as the image is seen.
        shift: `[N, 2]`, pixels to the right and pixels down.
    """

    scale: Any
    rotation: Any
    shift: Any


@dataclasses.dataclass(frozen=True)
class AffineDistortion:
    r"""Scale, rotate and shift each image at random, about its centre.

    A pixel at offset $p$ from the centre moves to $s R(a) p + t$, with a scale $s$, a rotation by
    $a$ and a shift $t$ that are uniform in their ranges and independent for every image. Values
    between pixels are bilinear; what comes from outside of the image is zero.

    Args:
        scale: `(low, high)` magnification. Defaults to (0.8, 1.2).
        rotation: Degrees; angles are drawn from [0, rotation). Defaults to 360.
        shift: Largest shift in each axis, as a fraction of its length, in [0, 1]. Defaults to 0.2.

    Raises:
        ValueError: If a range is empty, not finite or out of bounds.

    >>> import numpy as np
    >>> images = np.ones([2, 28, 28, 1], "float32")
    >>> distorted = AffineDistortion()(images, seed=[0, 1])
    >>> distorted.shape
    TensorShape([2, 28, 28, 1])
    >>> bool(np.all(distorted == AffineDistortion()(images, seed=[0, 1])))
    True

    Reference:
        [Meta-Learning with Warped Gradient Descent](https://arxiv.org/abs/1909.00025), appendix G.
    """

    scale: tuple[float, float] = (0.8, 1.2)
    rotation: float = 360.0
    shift: float = 0.2

    def __post_init__(self) -> None:
        try:
            low, high = (float(bound) for bound in self.scale)
        except (TypeError, ValueError):
            raise ValueError(f"`scale` must be (low, high), received {self.scale!r}.") from None
        if not 0 < low <= high < math.inf:
            raise ValueError(
                f"`scale` must be finite with 0 < low <= high, received {self.scale!r}."
            )
        if not 0 <= self.rotation <= 360:
            raise ValueError(
                f"`rotation` must be in degrees, 0 to 360, received {self.rotation!r}."
            )
        if not 0 <= self.shift <= 1:
            raise ValueError(
                f"`shift` must be a fraction of the image's side, 0 to 1, received {self.shift!r}."
            )
        object.__setattr__(self, "scale", (low, high))

    def sample(self, count: Any, height: int, width: int, seed: Any) -> AffineParameters:
        """Draw the parameters that `__call__` uses for `count` images.

        Args:
            count: Number of images, `N`.
            height: Height of an image, in pixels.
            width: Width of an image, in pixels.
            seed: Two integers; the draw depends on nothing else.

        Returns:
            `AffineParameters`.
        """
        uniform = tf.random.stateless_uniform([4, count], seed)
        low, high = self.scale
        reach = [self.shift * width, self.shift * height]
        return AffineParameters(
            scale=low + (high - low) * uniform[0],
            rotation=math.radians(self.rotation) * uniform[1],
            shift=tf.stack(
                [(2 * uniform[2 + axis] - 1) * reach[axis] for axis in range(2)], axis=-1
            ),
        )

    def __call__(self, images: Any, seed: Any) -> tf.Tensor:
        """Distort a batch.

        Args:
            images: `[N, height, width, channels]`, floats.
            seed: Two integers; the result depends on nothing else.

        Returns:
            A tensor of the shape and type of `images`.
        """
        images, count = image_batch(images)
        height, width = images.shape[1:3]
        parameters = self.sample(count, height, width, seed)
        distorted = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=_output_to_input(parameters, height, width),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=0.0,
        )
        return tf.ensure_shape(distorted, images.shape)


def _output_to_input(parameters: AffineParameters, height: int, width: int) -> tf.Tensor:
    """Rows `[a0 a1 a2 b0 b1 b2 0 0]`: output pixel (x, y) is read at (a·(x, y, 1), b·(x, y, 1)).

    The inverse of p' = s R(a) p + t. Rows run downwards, so that a counter-clockwise turn is
    R(a) = [[cos a, sin a], [-sin a, cos a]] in (x, y).
    """
    cosine = tf.cos(parameters.rotation) / parameters.scale
    sine = tf.sin(parameters.rotation) / parameters.scale
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    origin_x = centre_x + parameters.shift[:, 0]
    origin_y = centre_y + parameters.shift[:, 1]
    zero = tf.zeros_like(cosine)
    return tf.stack(
        [
            cosine,
            -sine,
            centre_x - cosine * origin_x + sine * origin_y,
            sine,
            cosine,
            centre_y - sine * origin_x - cosine * origin_y,
            zero,
            zero,
        ],
        axis=-1,
    )
