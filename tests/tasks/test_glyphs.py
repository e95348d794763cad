import os

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from warptf.tasks import CharacterBank, MultiShot, glyph_bank, glyphs
from warptf.tasks.glyph_groups import GLYPH_GROUPS

FONTS = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
SIDE = 36


@pytest.fixture(scope="session")
def bank():
    return glyph_bank(cache=False)


@pytest.fixture
def two_groups(monkeypatch):
    groups = {name: GLYPH_GROUPS[name][:4] for name in ("Hebrew", "Ogham")}
    monkeypatch.setattr(glyphs, "GLYPH_GROUPS", groups)
    return groups


def code_points():
    """The code points of each face, as fontTools reads them."""
    ttlib = pytest.importorskip("fontTools.ttLib")
    found = {}
    for face in glyphs.FACES:
        with ttlib.TTFont(os.path.join(FONTS, f"{face}.ttf")) as font:
            found[face] = set(font.getBestCmap())
    return found


def likeness(codes, face):
    """`[n, n]`: how far one character can be turned into another, 1 is fully.

    Each is drawn by Pillow, brought to the same centre of mass and the same spread, and turned in
    steps of 15 degrees; the likeness is the cosine between the pixels.
    """
    font = ImageFont.truetype(os.path.join(FONTS, f"{face}.ttf"), 60)
    turned = []
    for code in codes:
        image = Image.new("L", (200, 200))
        ImageDraw.Draw(image).text((100, 100), chr(code), 255, font, anchor="mm")
        ink = np.asarray(image, float)
        mass = ink / ink.sum()
        y, x = np.mgrid[:200, :200] + 0.5
        cy, cx = (mass * y).sum(), (mass * x).sum()
        reach = 2.6 * np.sqrt((mass * ((y - cy) ** 2 + (x - cx) ** 2)).sum())
        box = (cx - reach, cy - reach, cx + reach, cy + reach)
        image = image.transform((SIDE, SIDE), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
        image = image.filter(ImageFilter.GaussianBlur(1))
        turned.append(
            [
                np.asarray(image.rotate(angle, Image.Resampling.BICUBIC), float).ravel()
                for angle in range(0, 360, 15)
            ]
        )
    turned = np.array(turned)
    turned /= np.linalg.norm(turned, axis=-1, keepdims=True)
    return np.einsum("id,jad->ija", turned[:, 0], turned).max(-1)


def test_there_are_enough_groups_characters_and_drawings(bank):
    sizes = bank.alphabet_sizes
    assert len(sizes) >= 30
    assert min(sizes.values()) >= 20
    assert bank.images.shape[1:] == (20, 28, 28)
    assert list(sizes) == list(GLYPH_GROUPS)
    splits = MultiShot(bank, steps=1).describe()
    assert [len(splits[s]) for s in ("train", "test")] == [25, 10] and splits["validation"]


def test_every_character_has_a_glyph_in_two_faces_at_least():
    faces = code_points()
    assert not any("LastResort" in face for face in faces)
    lonely = {
        chr(code)
        for codes in GLYPH_GROUPS.values()
        for code in codes
        if sum(code in points for points in faces.values()) < 2
    }
    assert not lonely


def test_no_character_is_another_of_its_group_turned():
    faces = code_points()
    for name, codes in GLYPH_GROUPS.items():
        face = max(("DejaVuSans", "STIXGeneral"), key=lambda f: sum(c in faces[f] for c in codes))
        alike = likeness([code for code in codes if code in faces[face]], face)
        np.fill_diagonal(alike, 0)
        i, j = np.unravel_index(alike.argmax(), alike.shape)
        assert alike.max() < 0.97, f"{name}: {chr(codes[i])} and {chr(codes[j])}"


@pytest.mark.parametrize("pair", ["←↑", "bq", "↗↙", "┌┘"])
def test_that_check_finds_turned_characters(pair):
    assert likeness([ord(c) for c in pair], "DejaVuSans")[0, 1] > 0.97


def test_all_drawings_of_a_character_and_all_characters_differ(bank):
    flat = bank.images.reshape(*bank.images.shape[:2], -1)
    assert all(len(np.unique(drawings, axis=0)) == bank.drawings for drawings in flat)
    for alphabet in range(len(bank.names)):
        drawings = flat[bank.alphabets == alphabet].reshape(-1, flat.shape[-1])
        assert len(np.unique(drawings, axis=0)) == len(drawings)


def test_ink_is_one_and_stays_inside(bank):
    assert bank.images.max() == 255
    assert bank.images.max(axis=(2, 3)).min() > 50
    border = np.ones([28, 28], bool)
    border[1:-1, 1:-1] = False
    assert (bank.images[..., border] > 0).any(axis=-1).mean() < 0.02


def test_drawings_go_through_the_faces(two_groups):
    bank = glyph_bank(cache=False)
    # Every other face that has Hebrew is a bold one: its drawings hold more ink.
    ink = bank.images[bank.alphabets == 0].astype(float).sum(axis=(2, 3))
    assert (ink[:, 1::2].mean(axis=1) > 1.2 * ink[:, ::2].mean(axis=1)).all()


def test_rendering_is_deterministic_and_the_cache_returns_it(two_groups, tmp_path, monkeypatch):
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))
    first, kept, read = glyph_bank(cache=False), glyph_bank(), glyph_bank()
    (path,) = (tmp_path / "cache").iterdir()
    for bank in (kept, read, CharacterBank.load(path), glyph_bank(tmp_path / "cache")):
        np.testing.assert_array_equal(bank.images, first.images)
        assert bank.names == first.names == ("Hebrew", "Ogham")


def test_a_damaged_cache_is_rendered_anew(two_groups, tmp_path):
    first = glyph_bank(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    np.testing.assert_array_equal(glyph_bank(tmp_path).images, first.images)
    np.testing.assert_array_equal(CharacterBank.load(path).images, first.images)


def test_a_folder_that_cannot_be_written_does_no_harm(two_groups, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert len(glyph_bank(tmp_path / "file" / "cache").images) == 8
