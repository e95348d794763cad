"""Functions of TensorFlow whose second derivatives are wrong or missing, replaced for a while."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from warptf.layers.moments import moments
from warptf.layers.resize import resize
from warptf.layers.softsign import softsign

# Where Keras and its users call each of them.
_REPLACED: tuple[tuple[Any, str, Any], ...] = (
    (tf.nn, "moments", moments),
    (tf.image, "resize", resize),
    (tf.nn, "softsign", softsign),
    (tf.math, "softsign", softsign),
)


class _Scope:
    """Counts the scopes that are open in all threads, for replicas are traced in turns."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.originals = [getattr(module, name) for module, name, _ in _REPLACED]

    def change(self, step: int) -> None:
        with self.lock:
            self.depth += step
            for (module, name, ours), original in zip(_REPLACED, self.originals, strict=True):
                setattr(module, name, ours if self.depth else original)


_SCOPE = _Scope()


@contextlib.contextmanager
def twice_differentiable() -> Iterator[None]:
    """Gives layers called within second derivatives that TensorFlow lacks.

    Values and first derivatives stay as they are. Replaced are `tf.nn.moments`, on which Keras'
    batch, layer and group normalisation are built, `tf.image.resize` and `tf.nn.softsign`.
    """
    _SCOPE.change(+1)
    try:
        yield
    finally:
        _SCOPE.change(-1)
