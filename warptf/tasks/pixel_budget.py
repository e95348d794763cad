"""A bound on the pixels that are decoded at the same time."""

import contextlib
import threading
from collections.abc import Iterator


class PixelBudget:
    """A number of pixels that threads share; one image may always have more, alone.

    Args:
        pixels: the number.

    >>> with PixelBudget(100).taken(500):
    ...     print("alone")
    alone
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Waits until there is room for an image, and takes it for the length of the context.

        Args:
            pixels: the image's.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= self._pixels)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()
