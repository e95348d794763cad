"""What the layers of a run compute in."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Lets the layers that are made within compute in a precision.

    Args:
        precision: The name of a Keras dtype policy.

    Example:
        >>> with computing_in("mixed_bfloat16"):
        ...     layer = keras.layers.Dense(1)
        >>> layer.compute_dtype, keras.layers.Dense(1).compute_dtype
        ('bfloat16', 'float32')
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
