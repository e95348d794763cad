"""Image files decoded to what a viewer shows."""

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from warptf.tasks.pillow_limit import pillow_limit_lifted
from warptf.tasks.viewed_pixels import viewed_pixels

MAX_PIXELS = 89_478_485
"""Images of more pixels are refused, unless another limit is given: a quarter of a GiB in RGB."""

# Formats of pictures that are known by their first bytes. Others of Pillow's start programs (EPS),
# are known by their suffix alone (TGA) or hold no pictures. The last two are those of plugins.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF", "JXL")


class UnreadableImage(ValueError):
    """An image cannot be decoded; the message is the reason, without the file's name."""


def decode_image(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    channels: int = 3,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Decode an image file to what a viewer shows.

    JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, JPEG 2000 and PPM are known by their content, whatever
    the name of the file; HEIC and JPEG XL where a plugin of Pillow has been registered for them. An
    image is turned as its EXIF orientation says, its palette looked up, its colour profile
    converted to sRGB, 16 bits are scaled to 8, what is transparent shows white, and of an
    animation the first frame is taken.

    Args:
        source: Path, the bytes of a file, or a binary file that can seek.
        channels: 3 for colour, 1 for grey (ITU-R 601). Defaults to 3.
        max_pixels: Images of more pixels, as their header says, are refused before they are
            decoded. Defaults to `MAX_PIXELS`, 89 million.

    Returns:
        `[height, width, channels]`, `uint8`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no image, is damaged or has too many pixels; the error names it.

    >>> import io, numpy as np, PIL.Image
    >>> file = io.BytesIO()
    >>> sideways = PIL.Image.Exif()
    >>> sideways[0x0112] = 6  # the camera was turned
    >>> PIL.Image.fromarray(np.zeros([20, 30, 3], "uint8")).save(file, "JPEG", exif=sideways)
    >>> decode_image(file.getvalue()).shape
    (30, 20, 3)
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 (grey) or 3 (colour), received {channels!r}.")
    named = f"{os.fspath(source)!r}" if isinstance(source, (str, os.PathLike)) else "an image"
    if isinstance(source, (str, os.PathLike)) and not os.path.exists(source):
        raise FileNotFoundError(f"`source`: there is no file {named}.")
    try:
        with opened_image(source, max_pixels) as image:
            return decoded(image, channels)
    except UnreadableImage as error:
        raise ValueError(f"`source`: {named} cannot be read: {error}.") from error


@contextlib.contextmanager
def opened_image(
    source: str | os.PathLike[str] | bytes | BinaryIO, max_pixels: int = MAX_PIXELS
) -> Iterator[Image.Image]:
    """Open an image and read its header, not its pixels.

    Args:
        source: See `decode_image`.
        max_pixels: See `decode_image`.

    Yields:
        The image, for `decoded`.

    Raises:
        UnreadableImage: If it is none that can be decoded.
    """
    with _stream(source) as stream, pillow_limit_lifted():
        with _damage_named():
            image = Image.open(stream, formats=_known_formats())
        with image:
            if image.width * image.height > max_pixels:
                raise UnreadableImage(
                    f"{image.width}x{image.height} pixels are more than `max_pixels` "
                    f"({max_pixels}); raise it or shrink the image"
                )
            yield image


def decoded(image: Image.Image, channels: int) -> np.ndarray:
    """Decode an opened image.

    Args:
        image: What `opened_image` gives.
        channels: 1 or 3.

    Returns:
        `[height, width, channels]`, `uint8`.

    Raises:
        UnreadableImage: If it is damaged, or what its numbers mean is not known.
    """
    with _damage_named():
        return viewed_pixels(image, channels)


def is_image(path: str) -> bool:
    """Returns whether a file begins as an image does that can be decoded."""
    try:
        with opened_image(path, sys.maxsize):
            return True
    except UnreadableImage:
        return False


@contextlib.contextmanager
def _stream(source: str | os.PathLike[str] | bytes | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with contextlib.ExitStack() as opened:
            try:
                # A pipe or a device would be waited for without end.
                if not stat.S_ISREG(os.stat(source).st_mode):
                    raise UnreadableImage("no regular file")
                file = opened.enter_context(open(source, "rb"))
            except OSError as error:
                raise UnreadableImage(error.strerror or str(error)) from error
            yield file
    elif hasattr(source, "read"):
        yield source
    else:
        raise TypeError(
            f"`source` must be a path, bytes or a binary file, received {type(source).__name__}."
        )


@contextlib.contextmanager
def _damage_named() -> Iterator[None]:
    """Pillow's readers raise a dozen types of exceptions for damaged files."""
    try:
        yield
    except (UnreadableImage, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage("no image of a known format") from error
    except Exception as error:
        raise UnreadableImage(f"truncated or corrupt: {error}") from error


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
