"""The pixels of an opened image as a viewer shows them."""

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin

# Of the stored rows and columns, by EXIF orientation: whether they change places, and then whether
# each is reversed (CIPA DC-008, 4.6.4 A).
_ORIENTATIONS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
# PNG's transparent colour is stored with the bits of the file, and Pillow scales pixels to 8.
_TRANSPARENCY_SCALES = {"L;2": 85, "L;4": 17}


def viewed_pixels(image: Image.Image, channels: int) -> np.ndarray:
    """Decode an image as a viewer shows it, on white.

    Args:
        image: An image that Pillow has opened.
        channels: 1 for grey, 3 for colour.

    Returns:
        `[height, width, channels]`, `uint8`.

    Raises:
        ValueError: If its numbers have no range that is known.
    """
    _scale_transparency(image)
    profile = image.info.get("icc_profile")
    image.load()
    colours, alpha = _parted(_in_eight_bits(image))
    shown = _in_srgb(colours, profile)
    if alpha is not None:
        shown = Image.composite(shown, Image.new(shown.mode, shown.size, "white"), alpha)
    pixels = np.asarray(shown.convert("L" if channels == 1 else "RGB"))
    return _upright(pixels.reshape(*pixels.shape[:2], channels), _orientation(image))


def _scale_transparency(image: Image.Image) -> None:
    transparency = image.info.get("transparency")
    if not isinstance(image, PngImagePlugin.PngImageFile) or transparency is None:
        return
    raw = image.tile[0].args if image.tile else None
    if raw in _TRANSPARENCY_SCALES:
        image.info["transparency"] = transparency * _TRANSPARENCY_SCALES[raw]
    elif raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in transparency)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Scale the modes that have more than eight bits for each number."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image).astype(np.float64)
    black, white = _range(image, values)
    scaled = np.round((values - black) / (white - black) * 255).astype(np.uint8)
    grey = Image.fromarray(scaled)
    transparency = image.info.get("transparency")
    if transparency is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparency, 0, 255).astype(np.uint8)))
    if "icc_profile" in image.info:
        grey.info["icc_profile"] = image.info["icc_profile"]
    return grey


def _range(image: Image.Image, values: np.ndarray) -> tuple[float, float]:
    """The numbers that stand for black and white."""
    if image.mode == "F":
        if values.size and not (values.min() >= 0 and values.max() <= 1):  # NaN is not either.
            raise ValueError(
                f"floating-point pixels from {values.min():g} to {values.max():g}, where 0 to 1 is "
                "black to white; save it with 8 or 16 bits"
            )
        return 0.0, 1.0
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        raise ValueError("pixels of 32 bits, of which none is known to be white; save it with 16")
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 0.0, 65535.0
    white = float(2 ** image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0] - 1)
    inverted = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    return (white, 0.0) if inverted else (0.0, white)


def _parted(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours in a mode that profiles know (L, RGB, CMYK, LAB), and opacity if there is any."""
    if image.has_transparency_data:
        full = image.convert("RGBA")
        grey = image.mode in ("1", "L", "LA", "La")
        colours = full.getchannel("R") if grey else full.convert("RGB")
        return colours, full.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    return image if image.mode in ("L", "CMYK", "LAB") else image.convert("RGB"), None


def _in_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours by the profile that came with them, if it is one for their mode."""
    if colours.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        except OSError:  # Viewers show an image with a damaged profile as if it had none.
            return colours
    else:
        return colours
    target = ImageCms.createProfile("sRGB")
    try:
        converted = ImageCms.profileToProfile(colours, source, target, outputMode="RGB")
    except ImageCms.PyCMSError:  # A profile of another colour space, likewise.
        return colours
    return colours if converted is None else converted


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Damaged EXIF data, for which Pillow raises many types, turn no image.
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    swapped, rows, columns = _ORIENTATIONS.get(orientation, (False, False, False))
    pixels = pixels.swapaxes(0, 1) if swapped else pixels
    pixels = pixels[::-1] if rows else pixels
    return np.ascontiguousarray(pixels[:, ::-1] if columns else pixels)
