"""Whether XLA is to compile what is vectorised."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

_compiled: contextvars.ContextVar[bool] = contextvars.ContextVar("compiled_by_xla", default=False)


@contextlib.contextmanager
def compiled_by_xla(is_compiled: bool) -> Iterator[None]:
    """Says, for a while, whether XLA is to compile what is vectorised.

    Args:
        is_compiled: whether it is.
    """
    token = _compiled.set(is_compiled)
    try:
        yield
    finally:
        _compiled.reset(token)


def is_compiled_for_cpu() -> bool:
    """Returns whether XLA is to compile for a CPU."""
    return _compiled.get() and not tf.config.list_logical_devices("GPU")
