"""Features of labelled images, computed once and kept."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf.tasks.image_bank import ImageBank, read_only
from warptf.tasks.image_cache import Content, cached_bank
from warptf.tasks.mini_batches import as_floats

_HASHED_AT_A_TIME = 1024
_NUMBERED = re.compile(r"\b(keras_tensor|input_layer|functional|sequential)(_\d+)+\b")
_REPORT_EVERY = 10.0  # Seconds.


class FeatureBank(ImageBank):
    """An immutable set of features, each of an image of one class, for tasks of `FewShot`.

    Axes: `N` images.

    Args:
        images: The features `[N, ...]`, `float32`. A read-only array is kept as it is, any other
            one is copied.
        labels: `[N]`, integers: the class of each image.
        names: One distinct name for each class.

    Raises:
        TypeError: If an array has a type that is not listed above.
        ValueError: If shapes disagree, a label is out of range, a class has no image, or a name is
            not unique.

    >>> import numpy as np
    >>> FeatureBank(np.zeros([3, 8], "float32"), [0, 0, 1], ["cat", "dog"])
    FeatureBank(2 classes, 3 images, 8)
    """

    def _checked(self, images: np.ndarray) -> np.ndarray:
        if images.ndim < 2 or 0 in images.shape:
            raise ValueError(
                f"`images` must be features [N, ...] with no empty axis, received {images.shape}."
            )
        if images.dtype != np.float32:
            raise TypeError(f"`images` must be float32 features, received {images.dtype}.")
        return read_only(images)

    @property
    def image_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape of the features of one image."""
        return tuple(self._images.shape[1:])

    def __repr__(self) -> str:
        """Says how many there are."""
        shape = "x".join(map(str, self.image_shape))
        return f"FeatureBank({len(self._names)} classes, {len(self._labels)} images, {shape})"


def feature_bank(
    bank: ImageBank,
    model: keras.Model,
    cache_dir: str | os.PathLike[str] | None = None,
    *,
    batch_size: int = 32,
    progress: Callable[[str], None] | None = None,
) -> FeatureBank:
    """Compute the features of all images of a bank, or take those that were kept.

    They are kept for these images and this model: another image, weight or layer has other ones.
    A batch of images is in memory at a time. Where the features cannot be written, or the disk has
    no room for them, they are computed to memory every time.

    Args:
        bank: The images.
        model: A frozen model, from images `[B, height, width, channels]` in [0, 1] to features
            `[B, ...]`; it is called out of training mode.
        cache_dir: The folder that features are kept in. Defaults to what the environment variable
            `WARPTF_CACHE_DIR` names, else to `~/.cache/warptf`.
        batch_size: Images `B` that are computed at a time. Defaults to 32.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The features, in the order of the images.

    Raises:
        ValueError: If the model gives features that are not finite.

    >>> import keras, numpy as np, tempfile
    >>> bank = ImageBank(np.zeros([4, 8, 8, 3], "uint8"), [0, 0, 1, 1], ["cat", "dog"])
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
    >>> feature_bank(bank, model, tempfile.mkdtemp())
    FeatureBank(2 classes, 4 images, 3)
    """
    report = progress or (lambda line: None)

    def read() -> Content:
        return Content(_computed(bank, model, batch_size, report), bank.labels, bank.names)

    source = (_digest_of_images(bank), bank.names, bank.labels.tolist(), _digest_of_model(model))
    kept = cached_bank("features", source, read, cache_dir, FeatureBank, np.float32)
    assert isinstance(kept, FeatureBank)
    return kept


def _computed(
    bank: ImageBank, model: keras.Model, batch_size: int, report: Callable[[str], None]
) -> Iterator[np.ndarray]:
    """Features, one image after another."""
    call = tf.function(lambda x: model(as_floats(x), training=False), autograph=False)
    count, started = len(bank.images), time.monotonic()
    reported = started
    report(f"computing features of {count} images")
    for begin in range(0, count, batch_size):
        images = np.asarray(bank.images[begin : begin + batch_size])
        missing = batch_size - len(images)
        # Batches of one size are one graph, and the last image's features those of any batch.
        padded = np.concatenate([images, np.repeat(images[-1:], missing, 0)])
        features = call(padded).numpy().astype(np.float32)[: len(images)]
        if not np.isfinite(features).all():
            raise ValueError(
                f"`model` {model.name!r} gives features that are not finite for images "
                f"{begin} to {begin + len(images) - 1}; look at its weights and preprocessing."
            )
        yield from features
        done, now = begin + len(images), time.monotonic()
        if now - reported > _REPORT_EVERY and done < count:
            reported = now
            left = (now - started) / done * (count - done)
            report(f"features of {done} of {count} images, {left:.0f} s to go")


def _digest_of_images(bank: ImageBank) -> str:
    digest = hashlib.blake2b(repr(bank.images.shape).encode(), digest_size=16)
    for begin in range(0, len(bank.images), _HASHED_AT_A_TIME):
        images = bank.images[begin : begin + _HASHED_AT_A_TIME]
        digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def _digest_of_model(model: keras.Model) -> str:
    config: Any = json.dumps(model.get_config(), sort_keys=True, default=str)
    # Keras numbers what has no name by what the process has made before.
    config = _NUMBERED.sub(r"\1", config)
    digest = hashlib.blake2b(config.encode(), digest_size=16)
    for variable in model.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()
