"""Images are what a viewer shows: arrays written by hand, transformed by NumPy, saved by Pillow."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from warptf.tasks import decode_image

HEIGHT, WIDTH = 24, 40
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
RAMP = (ROWS * 6 + COLUMNS * 2).astype("uint8")
COLOURS = np.stack([RAMP, 255 - RAMP, (COLUMNS * 6).astype("uint8")], -1)
OPACITY = (255 - ROWS * 9).astype("uint8")
INDICES = (RAMP // 16).astype("uint8")
PALETTE = np.random.RandomState(0).randint(0, 256, [256, 3]).astype("uint8")
PALETTE_OPACITY = bytes([0, 128, *[255] * 14])


def on_white(colours, opacity):
    share = np.asarray(opacity, float)[..., None] / 255
    return colours * share + 255 * (1 - share)


def grey(values):
    return np.repeat(np.asarray(values, float)[..., None], 3, -1)


def with_palette():
    image = Image.fromarray(INDICES)
    image.putpalette(PALETTE.tobytes())
    return image


def cmyk():
    inks = np.concatenate([COLOURS, OPACITY[..., None] // 2], -1)
    shown = (1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255) * 255
    return Image.frombytes("CMYK", (WIDTH, HEIGHT), inks.tobytes()), shown


def made(mode):
    """An image of a mode, and what a viewer shows of it."""
    if mode == "1":
        bits = RAMP > 99
        return Image.fromarray(bits), grey(255 * bits)
    if mode == "L":
        return Image.fromarray(RAMP), grey(RAMP)
    if mode == "LA":
        image = Image.fromarray(np.stack([RAMP, OPACITY], -1))
        return image, on_white(grey(RAMP), OPACITY)
    if mode == "P":
        return with_palette(), PALETTE[INDICES]
    if mode == "P, transparent":
        image = with_palette()
        image.info["transparency"] = PALETTE_OPACITY
        opacity = np.frombuffer(PALETTE_OPACITY, "uint8")[INDICES]
        return image, on_white(PALETTE[INDICES], opacity)
    if mode == "P, one transparent":
        image = with_palette()
        image.info["transparency"] = 3
        return image, on_white(PALETTE[INDICES], 255 * (INDICES != 3))
    if mode == "RGB":
        return Image.fromarray(COLOURS), COLOURS
    if mode == "RGB, transparent":
        image = Image.fromarray(COLOURS)
        image.info["transparency"] = tuple(COLOURS[3, 5].tolist())
        return image, on_white(COLOURS, 255 * np.any(COLOURS[3, 5] != COLOURS, -1))
    if mode == "RGBA":
        image = Image.fromarray(np.concatenate([COLOURS, OPACITY[..., None]], -1))
        return image, on_white(COLOURS, OPACITY)
    if mode == "CMYK":
        return cmyk()
    if mode == "I;16":
        values = RAMP.astype("uint16") * 256 + 40
        return Image.fromarray(values), grey(values / 257)
    assert mode == "F"
    values = (RAMP / 255).astype("float32")
    return Image.fromarray(values), grey(values * 255)


EXACT = {
    "PNG": ["1", "L", "LA", "P", "P, transparent", "P, one transparent", "RGB", "RGB, transparent",
            "RGBA", "I;16"],
    "GIF": ["1", "L", "P", "P, one transparent"],
    "BMP": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"],
    "WEBP": ["L", "LA", "P", "P, transparent", "RGB", "RGBA"],
    "JPEG2000": ["L", "LA", "RGB", "RGBA", "I;16"],
    "PPM": ["1", "L", "RGB", "I;16", "F"],
}  # fmt: skip
LOSSY = {"JPEG": ["1", "L", "RGB", "CMYK"], "AVIF": ["L", "LA", "P", "RGB", "RGBA"]}
OPTIONS = {
    "WEBP": {"lossless": True, "exact": True},
    "JPEG": {"quality": 100, "subsampling": 0},
    "AVIF": {"quality": 100, "subsampling": "4:4:4", "speed": 9},
}
ALL = {**EXACT, **LOSSY}


def saved(image, container, **options):
    file = io.BytesIO()
    image.save(file, container, **{**OPTIONS.get(container, {}), **options})
    return file.getvalue()


def luma(colours):
    return np.asarray(colours, float) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("container", ALL)
def test_every_mode_of_every_container_is_what_a_viewer_shows(container):
    for mode in ALL[container]:
        image, expected = made(mode)
        data = saved(image, container)
        error = np.abs(decode_image(data).astype(float) - expected)
        assert error.max() <= (1 if container in EXACT else 12), mode
        assert error.mean() <= 1.5, mode
        as_grey = decode_image(data, channels=1)
        assert as_grey.shape == (HEIGHT, WIDTH, 1)
        assert np.abs(as_grey[..., 0] - luma(expected)).mean() <= 1.5, mode


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_compressed_tiff(compression):
    for mode in ("L", "RGB"):
        image, expected = made(mode)
        quality = {"quality": 100} if compression == "jpeg" else {}
        data = saved(image, "TIFF", compression=compression, **quality)
        assert np.abs(decode_image(data) - np.asarray(expected, float)).mean() < 1, mode


def test_the_fourth_byte_of_a_bitmap_without_a_mask_for_it_means_nothing():
    np.testing.assert_array_equal(decode_image(saved(made("RGBA")[0], "BMP")), COLOURS)


# Which side of the shown image the stored rows begin at, and which the columns (EXIF 2.32, 4.6.4).
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def turned(stored, orientation):
    height, width = stored.shape[:2] if orientation < 5 else stored.shape[1::-1]
    shown = np.zeros([height, width, *stored.shape[2:]], stored.dtype)
    place = {
        "top": lambda number: ("y", number),
        "bottom": lambda number: ("y", height - 1 - number),
        "left": lambda number: ("x", number),
        "right": lambda number: ("x", width - 1 - number),
    }
    for row in range(stored.shape[0]):
        for column in range(stored.shape[1]):
            rows, columns = SIDES[orientation]
            at = dict([place[rows](row), place[columns](column)])
            shown[at["y"], at["x"]] = stored[row, column]
    return shown


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_orientation_is_honoured(container):
    for orientation in SIDES:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(Image.fromarray(COLOURS), container, exif=exif)
        expected = turned(COLOURS, orientation)
        shown = decode_image(data)
        assert shown.shape == expected.shape, orientation
        assert np.abs(shown - expected.astype(float)).mean() < 1.5, orientation


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's
@pytest.mark.parametrize("exif", [b"Exif\0\0no TIFF", b"Exif\0\0II*\0\xff\xff\xff\xff", b""])
def test_a_damaged_orientation_turns_nothing(exif):
    data = saved(Image.fromarray(COLOURS), "JPEG", exif=exif)
    assert decode_image(data).shape == COLOURS.shape


def test_an_orientation_out_of_range_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 9
    assert decode_image(saved(Image.fromarray(COLOURS), "PNG", exif=exif)).shape == COLOURS.shape


@pytest.mark.parametrize("container", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_is_taken(container):
    frames = [Image.fromarray(COLOURS[:, :, 0]), Image.fromarray(255 - COLOURS[:, :, 0])]
    data = saved(frames[0], container, save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    assert np.abs(decode_image(data) - grey(RAMP)).mean() < 1.5


def test_colour_profiles_are_converted():
    """A profile whose red is sRGB's green and the other way round shows channels exchanged."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    for container, tolerance in (("PNG", 1), ("JPEG", 12), ("TIFF", 1), ("WEBP", 1)):
        data = saved(Image.fromarray(COLOURS), container, icc_profile=swapped)
        shown = decode_image(data).astype(float)
        assert np.abs(shown - COLOURS[..., [1, 0, 2]]).max() <= tolerance, container
        data = saved(Image.fromarray(COLOURS), container, icc_profile=srgb)
        assert np.abs(decode_image(data).astype(float) - COLOURS).max() <= tolerance, container
    image, expected = made("RGBA")
    shown = decode_image(saved(image, "PNG", icc_profile=swapped))
    assert np.abs(shown - on_white(COLOURS[..., [1, 0, 2]], OPACITY)).max() <= 1
    for profile in (b"no profile", swapped[:200]):
        data = saved(Image.fromarray(COLOURS), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(decode_image(data), COLOURS)
    # That of another colour space is none.
    np.testing.assert_array_equal(
        decode_image(saved(Image.fromarray(RAMP), "PNG", icc_profile=swapped)), grey(RAMP)
    )


def png(width, height, depth, kind, rows, *chunks):
    """A PNG file put together by its specification."""

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth_shows_white(depth):
    most, count = 2**depth - 1, 16
    values = [number * most // (count - 1) if depth > 1 else number % 2 for number in range(count)]
    if depth == 16:
        row = struct.pack(">16H", *values)
    else:
        bits = "".join(f"{value:0{depth}b}" for value in values)
        row = int(bits, 2).to_bytes(len(bits) // 8, "big")
    hole = (b"tRNS", struct.pack(">H", values[-2]))
    shown = decode_image(png(count, 1, depth, 0, [row], hole))[0, :, 0]
    expected = [255 if value == values[-2] else value * 255 / most for value in values]
    assert np.abs(shown - expected).max() <= 1


def test_colours_of_16_bits():
    deep = COLOURS.astype(">u2") * 257
    rows = [row.tobytes() for row in deep]
    np.testing.assert_array_equal(decode_image(png(WIDTH, HEIGHT, 16, 2, rows)), COLOURS)
    hole = (b"tRNS", struct.pack(">3H", *deep[3, 5].tolist()))
    expected = on_white(COLOURS, 255 * np.any(COLOURS[3, 5] != COLOURS, -1))
    shown = decode_image(png(WIDTH, HEIGHT, 16, 2, rows, hole))
    np.testing.assert_array_equal(shown, expected)


def test_a_tiff_whose_white_is_zero():
    values = RAMP.astype("uint16") * 257
    data = bytearray(saved(Image.fromarray(values), "TIFF"))
    entry = data.index(struct.pack("<HHI", 262, 3, 1))  # photometric interpretation: black is zero
    data[entry + 8] = 0
    np.testing.assert_array_equal(decode_image(bytes(data)), grey(255 - RAMP.astype(int)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full([2, 2], 200, "float32"), "from 200 to 200, where 0 to 1"),
        (np.full([2, 2], np.nan, "float32"), "from nan to nan"),
        (np.full([2, 2], 200, "int32"), "32 bits"),
    ],
)
def test_numbers_without_a_known_white_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        decode_image(saved(Image.fromarray(values), "TIFF"))


@given(st.sampled_from(sorted(ALL)), st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_refused_unless_all_pixels_are_there(container, share):
    data = saved(Image.fromarray(COLOURS), container)
    try:
        shown = decode_image(data[: int(share * len(data))])
    except ValueError as error:
        assert str(error).startswith("`source`: an image cannot be read: ")
    else:
        np.testing.assert_array_equal(shown, decode_image(data))


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "vast.png"
    path.write_bytes(png(20_000, 20_000, 1, 0, [b""]))
    with pytest.raises(
        ValueError, match=r"vast.png.*20000x20000 pixels.*`max_pixels` .89478485.; raise"
    ):
        decode_image(path)
    image = saved(Image.fromarray(COLOURS), "TIFF")
    with pytest.raises(ValueError, match="40x24 pixels are more than `max_pixels` .959."):
        decode_image(image, max_pixels=959)
    # Pillow's own limit, for the whole process, neither holds here nor is lost.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(decode_image(image, max_pixels=960), COLOURS)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_sources(tmp_path):
    data = saved(Image.fromarray(COLOURS), "PNG")
    (tmp_path / "odd.txt").write_bytes(data)
    for source in (tmp_path / "odd.txt", str(tmp_path / "odd.txt"), data, io.BytesIO(data)):
        np.testing.assert_array_equal(decode_image(source), COLOURS)
    with pytest.raises(FileNotFoundError, match="`source`.*none.png"):
        decode_image(tmp_path / "none.png")
    with pytest.raises(TypeError, match="`source`.*int"):
        decode_image(3)
    with pytest.raises(ValueError, match="`channels`.*2"):
        decode_image(data, channels=2)
    with pytest.raises(ValueError, match="`source`: an image cannot be read: no image of a known"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="pipe.png' cannot be read: no regular file"):
        decode_image(tmp_path / "pipe.png")
