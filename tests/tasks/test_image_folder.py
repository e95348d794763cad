import os
import shutil

import numpy as np
import pytest
from PIL import Image
from tasks.photographs import unpack_photographs

from warptf.tasks import ClassSplit, FewShot, ImageBank, image_cache, image_files, image_folder_bank

CLASSES = ["accordion", "crab", "lamp", "lotus"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path):
    unpack_photographs(tmp_path / "photos", CLASSES, 4)
    return tmp_path / "photos"


@pytest.fixture
def folder(tmp_path):
    """Small images without photographs: two classes, one size."""
    random = np.random.RandomState(0)
    for name in ("cat", "dog"):
        (tmp_path / "small" / name).mkdir(parents=True)
        for i in range(3):
            pixels = random.randint(0, 256, [10, 8, 3]).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "small" / name / f"{i}.png")
    return tmp_path / "small"


def pixels(path, mode="RGB"):
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


def refuse_to_decode(monkeypatch):
    monkeypatch.setattr(image_files, "decoded", lambda *arguments: pytest.fail("decoded"))


def test_photographs_are_read_as_they_are(photos, cache):
    bank = image_folder_bank(photos, cache_dir=cache)
    assert bank.names == tuple(CLASSES)
    assert bank.images.shape == (16, 84, 84, 3)
    files = sorted(photos.glob("*/*"))
    for image, label, file in zip(bank.images, bank.labels, files, strict=True):
        assert bank.names[label] == file.parent.name
        # Decoders of JPEG differ by rounding.
        assert np.abs(image.astype(int) - pixels(file)).mean() < 1.0


def test_photographs_of_all_sizes_are_resized_without_aliasing(photos, cache):
    for number, file in enumerate(sorted(photos.glob("*/*"))):
        image = Image.open(file).resize((100 + 20 * number, 250 - 12 * number))
        file.unlink()
        image.save(file.with_suffix(".png"))
    for size, shape in ((32, (32, 32)), ((30, 40), (30, 40))):
        bank = image_folder_bank(photos, size, cache_dir=cache)
        assert bank.images.shape == (16, *shape, 3)
        for image, file in zip(bank.images, sorted(photos.glob("*/*")), strict=True):
            small = Image.open(file).resize(shape[::-1], Image.Resampling.BILINEAR)
            assert np.abs(image.astype(int) - np.asarray(small)).max() <= 2


def test_few_shot_tasks_are_made_of_photographs(tmp_path, cache):
    unpack_photographs(tmp_path / "photos", [*CLASSES, "barrel", "bonsai"], 4)
    bank = image_folder_bank(tmp_path / "photos", cache_dir=cache)
    split = ClassSplit.random(bank.names, (1, 1, 1))
    task = next(iter(FewShot(bank, split, ways=2, shots=1, queries=3).train))
    assert task.query[0].shape == (4, 6, 84, 84, 3)
    assert 0.2 < np.mean(task.query[0]) < 0.9


def test_every_format_is_read(tmp_path, cache):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "b").mkdir(parents=True)
    ramp = np.add.outer(np.arange(16) * 8, np.arange(12) * 10).astype("uint8")
    grey, colour = Image.fromarray(ramp), Image.fromarray(np.stack([ramp, 255 - ramp, ramp], -1))
    saved = {
        "b/1.png": grey,
        "b/2.PNG": colour.convert("RGBA"),
        "b/3.jpeg": grey,
        "b/4.JPG": colour.convert("CMYK"),
        "a/5.bmp": colour,
        "a/6.bmp": grey,
        "a/7.gif": grey,
    }
    for name, image in saved.items():
        image.save(tmp_path / "photos" / name, quality=100, subsampling=0)
    (tmp_path / "photos" / "a" / "notes.txt").write_text("no image")
    (tmp_path / "photos" / "a" / ".hidden.png").write_text("no image")
    (tmp_path / "photos" / ".git").mkdir()
    for channels, mode in ((3, "RGB"), (1, "L")):
        with pytest.warns(UserWarning, match=r"passed over 1 file in .*'a.notes.txt \(no image"):
            bank = image_folder_bank(tmp_path / "photos", None, channels, cache)
        assert (bank.image_shape, bank.class_sizes) == ((16, 12, channels), {"a": 3, "b": 4})
        for image, name in zip(bank.images, sorted(saved), strict=True):
            expected = pixels(tmp_path / "photos" / name, mode).reshape(16, 12, channels)
            assert np.abs(image.astype(int) - expected).mean() < 4, (name, channels)


def test_names_say_nothing_of_what_files_hold(tmp_path, cache):
    """Content decides, whatever a name ends in: one image of each container, and what is none."""
    colours = np.random.RandomState(0).randint(0, 256, [8, 8, 3]).astype("uint8")
    saved = {
        "a.webp": ("WEBP", {"lossless": True}),
        "b.jfif": ("JPEG", {"quality": 100, "subsampling": 0}),
        "c.tif": ("TIFF", {}),
        "d.TIFF": ("TIFF", {"compression": "tiff_lzw"}),
        "e.avif": ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
        "f": ("PNG", {}),
        "g.png": ("BMP", {}),
        "h.JPG": ("PNG", {}),
        "i.dat": ("GIF", {}),
        "j.jp2": ("JPEG2000", {}),
    }
    for name in ("one", "two"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for file, (container, options) in saved.items():
            Image.fromarray(colours).save(tmp_path / "photos" / name / file, container, **options)
    folder = tmp_path / "photos" / "two"
    (folder / "deeper").mkdir()
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "P3 list.txt").write_text("P3 of the pictures are mine")
    os.mkfifo(folder / "pipe.png")
    (folder / "gone").symlink_to("nowhere")
    (folder / ".DS_Store").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"")
    (tmp_path / "photos" / "__MACOSX").mkdir()
    (tmp_path / "photos" / "stray.png").write_bytes((folder / "f").read_bytes())
    lines = []
    bank = image_folder_bank(tmp_path / "photos", None, cache_dir=cache, progress=lines.append)
    assert bank.class_sizes == {"one": 10, "two": 10}
    assert np.abs(bank.images.astype(float) - colours).mean(axis=(1, 2, 3)).max() < 40  # GIF
    line = lines[0]
    assert line.startswith("passed over 6 files in ") and line.endswith("; and 3 hidden files")
    for told in (
        "'stray.png (in no folder of a class)'",
        "'two/deeper (a folder)'",
        "'two/phone.heic (HEIC: save it as JPEG",
        "'two/P3 list.txt (no image)'",
        "'two/pipe.png (no regular file)'",
        "'two/gone (a link to nowhere)'",
    ):
        assert told in line
    with pytest.warns(UserWarning, match="passed over 6 files"):  # Also of what was kept.
        image_folder_bank(tmp_path / "photos", None, cache_dir=cache)


def test_hidden_files_alone_are_counted_where_somebody_listens(folder, cache):
    (folder / "cat" / ".DS_Store").write_bytes(b"")
    image_folder_bank(folder, None, cache_dir=cache)
    lines = []
    image_folder_bank(folder, None, cache_dir=cache, progress=lines.append)
    assert lines == [f"passed over 1 hidden file in {str(folder)!r}"]


def test_images_with_too_many_pixels_are_named(folder, cache):
    Image.new("RGB", (10, 20)).save(folder / "dog" / "tall.png")
    with pytest.raises(ValueError, match=r"1 of the.*'dog/tall.png': 10x20 pixels.*`max_pixels`"):
        image_folder_bank(folder, 6, cache_dir=cache, max_pixels=199)
    assert image_folder_bank(folder, 6, cache_dir=cache, max_pixels=200).class_sizes["dog"] == 4
    with pytest.raises(TypeError, match="`max_pixels`.*None"):
        image_folder_bank(folder, 6, cache_dir=cache, max_pixels=None)


def test_photographs_of_a_turned_camera_are_upright(folder, cache):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("cat", "dog"):
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
        Image.new("RGB", (8, 10)).save(folder / name / "upright.jpg")
        Image.new("RGB", (10, 8)).save(folder / name / "turned.jpg", exif=exif)
    bank = image_folder_bank(folder, None, cache_dir=cache, resize=False)
    assert bank.images.shape == (4, 10, 8, 3)


def test_what_an_earlier_version_kept_is_not_used(folder, cache, monkeypatch):
    monkeypatch.setattr(image_cache, "_VERSION", 1)
    image_folder_bank(folder, 6, cache_dir=cache)
    monkeypatch.undo()
    image_folder_bank(folder, 6, cache_dir=cache)
    assert len(os.listdir(cache)) == 2


def test_files_of_one_size_keep_it_and_others_are_named(folder, cache):
    bank = image_folder_bank(folder, None, cache_dir=cache)
    expected = np.stack([pixels(file) for file in sorted(folder.glob("*/*"))])
    np.testing.assert_array_equal(bank.images, expected)
    same = image_folder_bank(folder, (10, 8), cache_dir=cache, resize=False)
    np.testing.assert_array_equal(same.images, expected)
    Image.new("RGB", (9, 10)).save(folder / "dog" / "other.png")
    for size in (None, (10, 8)):
        with pytest.raises(ValueError, match=r"1 of .*not 10x8: 'dog.other.png \(10x9\)'.*resize"):
            image_folder_bank(folder, size, cache_dir=cache, resize=False)


def test_corrupt_files_are_named_and_nothing_is_kept(photos, cache):
    files = sorted(photos.glob("*/*"))
    files[0].write_bytes(files[0].read_bytes()[:2000])
    files[5].write_bytes(b"")
    files[9].write_text("no image")
    files[12].unlink()
    files[12].symlink_to("nowhere.jpg")
    with pytest.raises(ValueError) as caught:
        image_folder_bank(photos, cache_dir=cache)
    message = str(caught.value)
    for file in (files[0], files[5], files[9], files[12]):
        assert repr(f"{file.parent.name}/{file.name}") in message
    assert message.startswith("4 of the images") and "Replace or remove" in message
    assert os.listdir(cache) == []
    files[12].unlink()
    for file in files:
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="16 of the images.*and 11 more: no image of a"):
        image_folder_bank(photos, None, cache_dir=cache)


def test_folders_that_hold_no_classes_are_refused_before_an_image_is_read(
    folder, cache, monkeypatch
):
    refuse_to_decode(monkeypatch)
    with pytest.raises(FileNotFoundError, match="`directory`.*none"):
        image_folder_bank(folder / "none", cache_dir=cache)
    (folder / "cow").mkdir()
    (folder / "cow" / "readme.txt").touch()
    with pytest.raises(ValueError, match=r"without an image.*'cow \(readme.txt \(no image"):
        image_folder_bank(folder, cache_dir=cache)
    for name in ("cow", "dog"):
        shutil.rmtree(folder / name)
    with pytest.raises(ValueError, match=r"1 folders \('cat'\).*two classes"):
        image_folder_bank(folder, cache_dir=cache)


def test_images_are_decoded_once(folder, cache, monkeypatch):
    lines = []
    first = image_folder_bank(folder, 6, cache_dir=cache, progress=lines.append)
    assert "decoding 6 images" in lines[0] and lines[-1] == "decoded 6 of 6"
    refuse_to_decode(monkeypatch)
    again = image_folder_bank(folder, 6, cache_dir=cache)
    np.testing.assert_array_equal(again.images, first.images)
    np.testing.assert_array_equal(again.labels, first.labels)
    shutil.copytree(folder, folder.parent / "elsewhere")
    moved = image_folder_bank(folder.parent / "elsewhere", 6, cache_dir=cache)
    np.testing.assert_array_equal(moved.images, first.images)


@pytest.mark.parametrize("change", ["pixels", "new file", "rename", "size", "channels"])
def test_images_are_decoded_anew_when_something_changes(folder, cache, change):
    before = image_folder_bank(folder, 6, cache_dir=cache)
    arguments = {"image_size": 6, "channels": 3}
    file = folder / "cat" / "1.png"
    if change == "pixels":
        Image.new("RGB", (10, 8), (9, 9, 9)).save(file)
    elif change == "new file":
        shutil.copy2(file, folder / "cat" / "9.png")
    elif change == "rename":
        file.rename(folder / "dog" / "9.png")
    elif change == "size":
        arguments["image_size"] = 7
    else:
        arguments["channels"] = 1
    after = image_folder_bank(folder, **arguments, cache_dir=cache)
    assert before.images.shape != after.images.shape or (
        np.any(before.images != after.images) and len(os.listdir(cache)) == 2
    )


def test_the_variable_names_the_folder_of_what_is_kept(folder, cache, monkeypatch):
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(cache))
    bank = image_folder_bank(folder, 6)
    (kept,) = cache.iterdir()
    np.testing.assert_array_equal(ImageBank.load(kept).images, bank.images)


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "classes.json"])
def test_what_was_kept_and_is_damaged_is_made_anew(folder, cache, file):
    first = image_folder_bank(folder, 6, cache_dir=cache)
    (kept,) = cache.iterdir()
    (kept / file).write_bytes((kept / file).read_bytes()[:-5])
    again = image_folder_bank(folder, 6, cache_dir=cache)
    np.testing.assert_array_equal(again.images, first.images)
    np.testing.assert_array_equal(ImageBank.load(kept).images, first.images)
    assert list(cache.iterdir()) == [kept]


def test_an_interruption_leaves_nothing_behind(folder, cache, monkeypatch):
    decode, calls = image_files.decoded, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return decode(*arguments)

    monkeypatch.setattr(image_files, "decoded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        image_folder_bank(folder, 6, cache_dir=cache)
    assert os.listdir(cache) == []
    bank = image_folder_bank(folder, 6, cache_dir=cache)
    assert bank.images.shape == (6, 6, 6, 3)


@pytest.mark.parametrize("obstacle", ["a file in its place", "a full disk"])
def test_images_that_cannot_be_kept_are_read_to_memory(folder, cache, monkeypatch, obstacle):
    expected = image_folder_bank(folder, 6, cache_dir=cache)
    if obstacle == "a full disk":
        usage = shutil.disk_usage(folder)._replace(free=10)
        monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda path: usage)
        elsewhere = cache / "elsewhere"
    else:
        elsewhere = cache.parent / "file"
        elsewhere.touch()
    bank = image_folder_bank(folder, 6, cache_dir=elsewhere)
    np.testing.assert_array_equal(bank.images, expected.images)
    assert elsewhere.is_file() or os.listdir(elsewhere) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "`image_size`.*0"),
        ({"image_size": (84,)}, r"`image_size`.*\(84,\)"),
        ({"image_size": (84, -1)}, "`image_size`"),
        ({"image_size": 84.0}, "`image_size`.*84.0"),
        ({"image_size": True}, "`image_size`.*True"),
        ({"channels": 4}, "`channels`.*4"),
    ],
)
def test_bad_arguments_are_refused_by_name(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        image_folder_bank(folder, **arguments)
