"""Where and in what precision a cell of the matrix is computed."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def mirrored() -> Iterator[tf.distribute.Strategy]:
    """A scope of two logical devices, which `tests/conftest.py` configures."""
    # The collectives of several strategies in one process would meet.
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        yield strategy


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """What layers made within compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
