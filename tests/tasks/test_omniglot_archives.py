import io
import os
import shutil
import struct
import tracemalloc
import zipfile
import zlib

import pytest

from warptf.tasks import omniglot, omniglot_archives
from warptf.tasks.omniglot_archives import Archive

TRAIN = "images_background.zip"


def png(side=105):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = zlib.compress((b"\0" + b"\xff" * ((side + 7) // 8)) * side)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def drawings(name, alphabets, first):
    root, label, entries = name.removesuffix(".zip"), first, {}
    for alphabet in alphabets:
        for character in (1, 2):
            for drawing in range(1, 21):
                entry = f"{root}/{alphabet}/character{character:02}/{label:04}_{drawing:02}.png"
                entries[entry] = png()
            label += 1
    return entries


def write(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for name, body in entries.items():
            content.writestr(name, body)


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Four small archives that are in order: two, one, one and one alphabets of two characters."""
    expected = {
        "train": Archive(TRAIN, 2, 4, 1),
        "eval": Archive("images_evaluation.zip", 1, 2, 5),
        "small1": Archive("images_background_small1.zip", 1, 2, None),
        "small2": Archive("images_background_small2.zip", 1, 2, None),
    }
    monkeypatch.setattr(omniglot_archives, "ARCHIVES", expected)
    folder = tmp_path / "archives"
    folder.mkdir()
    for key, alphabets, first in [
        ("train", ["A", "B"], 1),
        ("eval", ["C"], 5),
        ("small1", ["A"], 1),
        ("small2", ["B"], 3),
    ]:
        name = expected[key].name
        write(folder / name, drawings(name, alphabets, first))
    return folder


def check(folder):
    omniglot_archives.check_archives(str(folder), lambda line: None)


def rewrite(folder, change, name=TRAIN):
    with zipfile.ZipFile(folder / name) as content:
        entries = {info.filename: content.read(info) for info in content.infolist()}
    write(folder / name, change(entries))


def test_archives_in_order_pass_with_a_line_for_each(archives):
    lines = []
    omniglot_archives.check_archives(str(archives), lines.append)
    assert [os.path.basename(line) for line in lines] == [
        TRAIN,
        "images_evaluation.zip",
        "images_background_small1.zip",
        "images_background_small2.zip",
    ]


def test_what_a_file_manager_adds_does_no_harm(archives, tmp_path):
    rewrite(archives, lambda e: {**e, "__MACOSX/x": b"", "images_background/.DS_Store": b""})
    check(archives)
    folder = omniglot_archives.unpack_archive(str(archives), "train", str(tmp_path / "out"))
    assert os.listdir(folder) == ["images_background"]
    assert sorted(os.listdir(os.path.join(folder, "images_background"))) == ["A", "B"]


@pytest.mark.parametrize("name", ["images_background.zip", "images_background_small2.zip"])
def test_a_missing_archive_is_named(archives, name):
    os.unlink(archives / name)
    with pytest.raises(FileNotFoundError, match=f"`archives`.*{name}.*missing"):
        check(archives)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_a_truncated_archive_is_named(archives, kept):
    content = (archives / TRAIN).read_bytes()
    (archives / TRAIN).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=f"`archives`.*{TRAIN}.*truncated or corrupt"):
        check(archives)


def test_a_damaged_byte_is_found(archives):
    content = bytearray((archives / TRAIN).read_bytes())
    # The first entry's data start behind its 30-byte header and its name.
    content[30 + len("images_background/A/character01/0001_01.png") + 20] ^= 255
    (archives / TRAIN).write_bytes(content)
    with pytest.raises(ValueError, match=f"{TRAIN}.*truncated or corrupt"):
        check(archives)


def test_an_entry_is_not_unpacked_beyond_what_a_drawing_can_have(archives):
    """An entry of 64 MiB in 64 KiB, whose header may say what it likes."""
    rewrite(archives, lambda entries: {**entries, FIRST: png() + bytes(2**26)})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"{FIRST} is no 105x105 PNG"):
            check(archives)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def renamed(old, new):
    return lambda entries: {name.replace(old, new): body for name, body in entries.items()}


def without(part):
    return lambda entries: {name: body for name, body in entries.items() if part not in name}


def replaced(name, body):
    return lambda entries: {**entries, name: body}


FIRST = "images_background/A/character01/0001_01.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("0003_07"), "79 different drawings, expected 80"),
        (without("/B/"), "40 different drawings, expected 80"),
        (without("/"), "0 different drawings"),
        (renamed("images_background/", "omniglot/"), "top folders.*omniglot"),
        (renamed("/B/", "/A/"), "2 characters under 4 numbers, expected 4"),
        (renamed("/0004_", "/0009_"), "not numbered 0001 to 0004"),
        (renamed("0004_20", "0004_21"), "01 to 20"),
        (renamed("/B/character01", "/C/character01"), "3 alphabets, expected 2"),
        (replaced(FIRST, b"GIF89a" + bytes(50)), f"{FIRST} is no 105x105 PNG"),
        (replaced(FIRST, png(28)), f"{FIRST} is no 105x105 PNG"),
        (replaced("images_background/../../evil.png", png()), "evil.png.*is not of the form"),
        (replaced("images_background/A/readme.txt", b""), "readme.txt.*is not of the form"),
    ],
)
def test_what_is_wrong_inside_is_told(archives, change, message):
    rewrite(archives, change)
    with pytest.raises(ValueError, match=f"{TRAIN}.*{message}"):
        check(archives)


def test_a_small_archive_must_repeat_a_part_of_the_large_one(archives):
    rewrite(archives, renamed("/A/", "/Z/"), "images_background_small1.zip")
    with pytest.raises(ValueError, match=f"small1.zip.*Z.*not in {TRAIN}"):
        check(archives)


def test_damaged_archives_leave_nothing_behind(archives, tmp_path):
    rewrite(archives, without("0003_07"))
    with pytest.raises(ValueError, match="79 different drawings"):
        omniglot.prepare_omniglot(archives, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_an_interruption_leaves_nothing_behind(archives, tmp_path, monkeypatch):
    def interrupted(directory, key, target):
        shutil.copytree(directory, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(omniglot, "unpack_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        omniglot.prepare_omniglot(archives, tmp_path / "data")
    assert os.listdir(tmp_path / "data" / "omniglot") == []


def test_pictures_of_the_fixture_can_be_decoded():
    from PIL import Image

    assert Image.open(io.BytesIO(png())).size == (105, 105)
