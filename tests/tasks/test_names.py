"""Names that look the same are the same, in lists as people save them and on the disk."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from warptf.tasks import CharacterBank, ClassSplit, ImageBank, csv_images_bank, image_folder_bank
from warptf.tasks.names import normal_name
from warptf.tasks.tiered_imagenet import tiered_imagenet_bank

CAFE, DECOMPOSED = "caf\u00e9 noir", "cafe\u0301 noir"
SPELLINGS = [
    CAFE,
    DECOMPOSED,
    f" {CAFE}",
    f"{DECOMPOSED}\t",
    "caf\u00e9\u00a0 noir",
    f"\ufeff{CAFE}",
]


def bank_of(names):
    return ImageBank(np.zeros([len(names), 1, 1, 1], "uint8"), range(len(names)), names)


@settings(max_examples=50)
@given(st.text(max_size=8))
def test_a_name_is_written_once_and_for_all(name):
    normal = normal_name(name)
    assert normal_name(normal) == normal
    assert normal == normal.strip() and "  " not in normal
    for form in ("NFC", "NFD"):
        assert normal_name(unicodedata.normalize(form, name)) == normal
    assert normal_name(f" {name}\r\n") == normal


def test_names_that_differ_stay_apart():
    names = ["a", "A", "\u0410", "cat", "cat 1", "cat1", "x/y", "x y", "\u00e9", "e", "n01", "n1"]
    assert len(set(map(normal_name, names))) == len(names)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_class_in_two_parts_is_a_leak_however_it_is_written(spelling):
    with pytest.raises(ValueError, match="`train` and `test` share 'caf\u00e9 noir'"):
        ClassSplit([CAFE], ["b"], [spelling])
    with pytest.raises(ValueError, match="`train` must hold a name once.*again"):
        ClassSplit([CAFE, spelling], ["b"], ["c"])
    with pytest.raises(ValueError, match="`names` must hold a name once.*again"):
        bank_of([CAFE, "b", spelling])
    with pytest.raises(ValueError, match="`names` must hold a name once.*again"):
        CharacterBank(np.zeros([2, 1, 2, 2], "uint8"), [0, 1], [CAFE, spelling])


def test_both_spellings_are_shown():
    with pytest.raises(ValueError, match=r"share 'cat', written 'cat' and 'cat '; each"):
        ClassSplit(["cat"], ["b"], ["cat "])
    with pytest.raises(ValueError, match=r"written 'caf\\xe9 noir' and 'cafe\\u0301 noir'"):
        ClassSplit([CAFE], ["b"], [DECOMPOSED])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_bank_knows_its_classes_however_they_are_asked_for(spelling):
    bank = bank_of([spelling, "b", "c"])
    assert bank.names[0] == CAFE
    assert bank.subset([DECOMPOSED]).names == (CAFE,)
    ClassSplit([DECOMPOSED], ["b "], [" c"]).check(bank)
    grouped = bank_of([f"{spelling}/1", "b/1", "c/1"])
    assert ClassSplit([CAFE], ["b"], ["c"]).expanded(grouped).train == (f"{CAFE}/1",)


@pytest.mark.parametrize(
    ("names", "message"),
    [([" ", "b"], "empty name"), (["caf\udce9", "b"], r"'caf\\udce9' not in UTF-8; rename")],
)
def test_what_is_no_name_is_refused(names, message):
    with pytest.raises(ValueError, match=message):
        bank_of(names)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
LINES = ["\n", "\r\n", "\r"]


def as_saved(text, encoding, line):
    return text.replace("\n", line).encode(encoding)


@pytest.mark.parametrize("line", LINES, ids=repr)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lists_of_every_encoding_and_ending_are_read(tmp_path, encoding, line):
    expected = ClassSplit([CAFE, "b"], ["c"], ["d, e"])
    quoted = f'filename,label\n1,{DECOMPOSED} \n2,"{CAFE}"\n3,b\n'
    layouts = {
        "txt": {"train": f"{DECOMPOSED} \n\n b\n", "val": "c", "test": "d, e\n \n"},
        "csv": {"train": quoted, "val": "c", "test": '"d, e", x\n'},
        "json": {"train": json.dumps([DECOMPOSED, "b "]), "val": '["c"]', "test": '["d, e"]'},
    }
    for ending, parts in layouts.items():
        folder = tmp_path / ending
        folder.mkdir()
        for part, text in parts.items():
            (folder / f"{part}.{ending}").write_bytes(as_saved(text, encoding, line))
        assert ClassSplit.from_directory(folder) == expected, ending
    whole = json.dumps({"train": [CAFE, "b"], "val": ["c"], "test": ["d, e"]}, indent=1)
    (tmp_path / "split.json").write_bytes(as_saved(whole, encoding, line))
    assert ClassSplit.from_json(tmp_path / "split.json") == expected


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le"])
def test_other_encodings_are_refused_with_the_remedy(tmp_path, encoding):
    for ending in ("txt", "csv", "json"):
        (tmp_path / ending).mkdir()
        for part in ("train", "val", "test"):
            text = f'["{part}",\n"{CAFE}"]' if ending == "json" else f"{part}\n{CAFE}\n"
            (tmp_path / ending / f"{part}.{ending}").write_bytes(text.encode(encoding))
        with pytest.raises(ValueError, match=rf"train.{ending}.*(byte 0xe9 in line 2|NUL).*UTF-8"):
            ClassSplit.from_directory(tmp_path / ending)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train.csv", 'filename,label\n1,"a\n2,b\n', "train.csv.*end of data"),
        ("train.json", '{"background": {"A": ["1"], "A": ["2"]}}', "train.json.*'A' occurs twice"),
    ],
)
def test_lists_that_would_lose_names_are_refused(tmp_path, file, content, message):
    for part in ("val", "test"):
        (tmp_path / f"{part}.txt").write_text(part)
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        ClassSplit.from_directory(tmp_path)


def write_images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def test_folders_are_named_as_lists_are(tmp_path):
    images = tmp_path / "images"
    write_images(images, f"{DECOMPOSED} /1.png", "b/1.png", "c/1.png")
    bank = image_folder_bank(images, None, cache_dir=tmp_path / "cache")
    assert set(bank.names) == {CAFE, "b", "c"}
    write_images(images, f"{CAFE}/1.png")
    with pytest.raises(ValueError, match=r"`directory` must hold a name once.*written 'cafe.u0301"):
        image_folder_bank(images, None, cache_dir=tmp_path / "cache")


def write_lists(folder, parts, encoding="utf-8"):
    for part, text in parts.items():
        (folder / f"{part}.csv").write_bytes(text.encode(encoding))


HEADER = "filename,label\r\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lists_of_images_as_spreadsheets_save_them(tmp_path, encoding):
    write_images(
        tmp_path / "images", "sub/1.png", f"{DECOMPOSED}.png", "3.png", "4, 5.png", "6.png"
    )
    parts = {
        "train": f'"Filename", Label,\r\nsub\\1.png,{CAFE} \r\n{CAFE}.png ,{DECOMPOSED},\r\n,,\r\n',
        "val": 'sep=;\r\nfilename;label\r\n3.png;b\r\n"4, 5.png";b\r\n',
        "test": "filename\tlabel\r\n ./6.png\tc\r\n",
    }
    write_lists(tmp_path, parts, encoding)
    bank, split = csv_images_bank(tmp_path / "images", tmp_path, cache_dir=tmp_path / "cache")
    assert split == ClassSplit([CAFE], ["b"], ["c"])
    assert bank.class_sizes == {CAFE: 2, "b": 2, "c": 1}


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("1.png,cat", "2.png,cat ", "`train` and `test` share 'cat', written 'cat' and 'cat '"),
        ("1.png,cat", "./1.png ,dog", r"`csv_files`: '1.png' more than once"),
        ("sub/3.png,cat", "sub\\3.png,dog", r"`csv_files`: 'sub/3.png' more than once"),
        ("1.png, ", "2.png,dog", "two columns in row 2"),
    ],
)
def test_leaks_between_lists_of_images_are_refused(tmp_path, train, test, message):
    write_images(tmp_path / "images", "1.png", "2.png", "sub/3.png", "4.png")
    parts = {"train": HEADER + train, "val": HEADER + "4.png,b", "test": HEADER + test}
    write_lists(tmp_path, parts)
    with pytest.raises(ValueError, match=message):
        csv_images_bank(tmp_path / "images", tmp_path, cache_dir=tmp_path / "cache")


def test_lists_of_images_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "images").mkdir()
    write_lists(tmp_path, dict.fromkeys(("train", "val", "test"), f"{HEADER}1,{CAFE}"), "cp1252")
    with pytest.raises(ValueError, match="train.csv.*0xe9 in line 2 is no utf-8.*iconv"):
        csv_images_bank(tmp_path / "images", tmp_path)


def test_lists_of_synsets_as_spreadsheets_save_them(tmp_path):
    names = {"train": "n01", "val": "n02", "test": "n03"}
    for part, name in names.items():
        write_images(tmp_path / "images", f"{name}/1.png")
        text = f"\ufeff{name} ; parent of {part}\r\n"
        (tmp_path / f"{part}.csv").write_text(text, encoding="utf-16")
    arguments = (tmp_path / "images", tmp_path, 4)
    _, split = tiered_imagenet_bank(*arguments, cache_dir=tmp_path / "cache")
    assert split == ClassSplit(["n01"], ["n02"], ["n03"])
