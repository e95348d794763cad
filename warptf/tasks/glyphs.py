"""Glyphs: characters of many scripts, rendered from the fonts that matplotlib ships."""

import contextlib
import importlib.metadata
import os
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from warptf.tasks.cache_folder import cache_folder
from warptf.tasks.character_bank import CharacterBank
from warptf.tasks.glyph_groups import GLYPH_GROUPS

FACES = (
    "DejaVuSans",
    "DejaVuSerif",
    "DejaVuSansMono",
    "STIXGeneral",
    "DejaVuSans-Bold",
    "DejaVuSerif-Bold",
    "DejaVuSansMono-Bold",
    "STIXGeneralBol",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
)
"""Upright and slanted faces; true italics are left out, for there one letter looks like another."""

DRAWINGS = 20
_SIDE = 28
_FINE = 3  # Pixels of the rendered glyph for each pixel of the drawing, along each axis.
_EXTENT = 18  # The longer side of a glyph before jitter, in pixels of the drawing.
_VERSION = 1  # Of the file kept; to be raised when the drawings change.


class _Jitter(NamedTuple):
    """What varies from drawing to drawing, each `[characters, drawings]`."""

    width: np.ndarray
    height: np.ndarray
    slant: np.ndarray
    turn: np.ndarray
    right: np.ndarray
    down: np.ndarray
    stroke: np.ndarray


def glyph_bank(
    cache_dir: str | os.PathLike[str] | None = None, *, cache: bool = True
) -> CharacterBank:
    """Render the glyphs, or read them where they have been rendered before.

    Each group of characters stands for an alphabet. The 20 drawings of a character go through the
    faces that have it, two at least, and differ in width, height, slant, stroke and place. No
    download is needed. Characters that look like another one of their group, as they are or
    turned, are left out, so that tasks which turn their drawings can be solved.

    The drawings are kept in one file; where that cannot be written, they are rendered every time.

    Args:
        cache_dir: The folder of that file. Defaults to what the environment variable
            `WARPTF_CACHE_DIR` names, else to `~/.cache/warptf`.
        cache: Whether to read and write that file. Defaults to `True`.

    Returns:
        The characters, always the same ones for one version of matplotlib.
    """
    # Another version of matplotlib may bring other fonts.
    name = f"glyphs_{_SIDE}x{_SIDE}_v{_VERSION}_{importlib.metadata.version('matplotlib')}.npz"
    path = os.path.join(cache_folder(cache_dir), name)
    if cache:
        with contextlib.suppress(OSError, ValueError):
            return CharacterBank.load(path)
    bank = _render()
    if cache:
        with contextlib.suppress(OSError):
            bank.save(path)
    return bank


def _render() -> CharacterBank:
    fonts = _fonts()
    characters = [chr(code) for codes in GLYPH_GROUPS.values() for code in codes]
    groups = np.repeat(np.arange(len(GLYPH_GROUPS)), [len(c) for c in GLYPH_GROUPS.values()])
    jitter = _sample_jitter(len(characters))
    images = [
        _draw(_outlines(fonts, character), _Jitter(*(field[i] for field in jitter)))
        for i, character in enumerate(characters)
    ]
    return CharacterBank(np.stack(images), groups, list(GLYPH_GROUPS))


def _fonts() -> list[tuple[Any, frozenset[int]]]:
    """Each face with the code points that it has a glyph for."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    folder = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
    fonts = [FT2Font(os.path.join(folder, f"{face}.ttf")) for face in FACES]
    return [(font, frozenset(font.get_charmap())) for font in fonts]


def _outlines(fonts: list[tuple[Any, frozenset[int]]], character: str) -> np.ndarray:
    """`[faces, fine side, fine side]`, `uint8`: the character in the middle, of a fixed extent."""
    having = [font for font, codes in fonts if ord(character) in codes]
    side, extent = _SIDE * _FINE, _EXTENT * _FINE
    canvas = np.zeros([len(having), side, side], np.uint8)
    for face, font in enumerate(having):
        size = float(extent)
        for _ in range(2):
            glyph = _bitmap(font, character, size)
            size *= extent / max(glyph.shape)
        height, width = (min(length, side) for length in glyph.shape)
        top, left = (side - height) // 2, (side - width) // 2
        canvas[face, top : top + height, left : left + width] = glyph[:height, :width]
    return canvas


def _bitmap(font: Any, character: str, size: float) -> np.ndarray:
    font.set_size(size, 72)
    font.set_text(character)
    font.draw_glyphs_to_bitmap(antialiased=True)
    image = np.asarray(font.get_image())
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _sample_jitter(characters: int) -> _Jitter:
    # The legacy generator's stream is frozen for good, that of numpy.random.Generator is not.
    uniform = np.random.RandomState(0).uniform(-1, 1, [7, characters, DRAWINGS])
    width, height, slant, turn, right, down, stroke = uniform
    return _Jitter(
        width=1 + 0.15 * width,
        height=1 + 0.15 * height,
        slant=0.15 * slant,
        turn=np.deg2rad(8) * turn,
        right=1.5 * _FINE * right,
        down=1.5 * _FINE * down,
        stroke=np.exp2(0.8 * stroke),
    )


def _draw(faces: np.ndarray, jitter: _Jitter) -> np.ndarray:
    """`[drawings, side, side]`, `uint8`, one character's drawings."""
    outlines = faces[np.arange(DRAWINGS) % len(faces), ..., None]
    side = outlines.shape[1]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(outlines, tf.float32) / 255.0,
        transforms=tf.constant(_transforms(jitter, (side - 1) / 2), tf.float32),
        output_shape=[side, side],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
    ink = tf.nn.avg_pool2d(moved, _FINE, _FINE, "VALID")[..., 0].numpy()
    # An exponent below one darkens the grey edge of a stroke, one above one thins it.
    return np.round(255 * np.clip(ink, 0, 1) ** jitter.stroke[:, None, None]).astype(np.uint8)


def _transforms(jitter: _Jitter, centre: float) -> np.ndarray:
    """`[drawings, 8]`: where each pixel of a drawing is read in the outline."""
    cosine, sine = np.cos(jitter.turn), np.sin(jitter.turn)
    shape = np.stack([jitter.width, jitter.slant, np.zeros(DRAWINGS), jitter.height], axis=-1)
    turn = np.stack([cosine, -sine, sine, cosine], axis=-1)
    inverse = np.linalg.inv(turn.reshape(-1, 2, 2) @ shape.reshape(-1, 2, 2))
    shift = np.stack([jitter.right, jitter.down], axis=-1) + centre
    offset = centre - np.einsum("nij,nj->ni", inverse, shift)
    rows = np.concatenate([inverse, offset[..., None]], axis=-1).reshape(-1, 6)
    return np.concatenate([rows, np.zeros([DRAWINGS, 2])], axis=-1)
