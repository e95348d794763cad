"""Pillow's own limit on pixels, which ours replaces while it decodes."""

import contextlib
import threading
from collections.abc import Iterator

from PIL import Image

_LOCK = threading.Lock()
_FOUND: list[int | None] = []  # Pillow's limit, once for each thread in here.


@contextlib.contextmanager
def pillow_limit_lifted() -> Iterator[None]:
    """Lifts Pillow's limit until the last of all threads in here has left.

    Pillow keeps one for the whole process, warns above it and raises above twice of it.
    """
    with _LOCK:
        _FOUND.append(_FOUND[0] if _FOUND else Image.MAX_IMAGE_PIXELS)
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _LOCK:
            found = _FOUND.pop()
            if not _FOUND:
                Image.MAX_IMAGE_PIXELS = found
