import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptf.tasks import ClassSplit, ImageBank


def bank_of(names):
    return ImageBank(np.zeros([len(names), 1, 1, 1], "uint8"), range(len(names)), names)


def write(folder, **files):
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(content)
    return folder


@pytest.fixture
def lists():
    folder = Path(os.environ.get("WARPTF_DATA_DIR", "")) / "splits"
    if not os.environ.get("WARPTF_DATA_DIR") or not folder.is_dir():
        pytest.skip("WARPTF_DATA_DIR names no folder with `splits`")
    return folder


@given(
    st.sets(st.text("abc\u00e9\u4e2d/", min_size=1, max_size=3), min_size=3, max_size=30),
    st.tuples(*[st.floats(0.01, 10)] * 3),
    st.integers(0, 2**40),
)
def test_random_splits_hold_every_name_once(names, fractions, seed):
    split = ClassSplit.random(names, fractions, seed)
    parts = list(split.parts.values())
    assert sorted(name for part in parts for name in part) == sorted(names)
    for part, fraction in zip(parts, fractions, strict=True):
        assert len(part) >= 1
        expected = fraction / sum(fractions) * len(names)
        assert abs(len(part) - expected) <= 1 or min(map(len, parts)) == 1


def test_random_splits_depend_on_the_seed_alone():
    names = [str(i) for i in range(100)]
    splits = [ClassSplit.random(names, seed=seed) for seed in (0, 0, 1, 2**32)]
    assert splits[0] == splits[1]
    assert len({split.test for split in splits}) == 3
    assert [len(part) for part in splits[0].parts.values()] == [64, 16, 20]


def test_one_file_may_hold_all_three_parts(tmp_path):
    for key in ("val", "validation"):
        path = tmp_path / "split.json"
        path.write_text(json.dumps({"train": ["a", "b"], key: ["c"], "test": ["d"], "note": 1}))
        assert ClassSplit.from_json(path) == ClassSplit(["a", "b"], ["c"], ["d"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "split.json"),
        ("[1]", "split.json.*object"),
        ('{"train": ["a"], "test": ["b"]}', "split.json.*'val' or 'validation'"),
        ('{"train": ["a"], "val": ["b"], "validation": ["c"], "test": ["b"]}', "once"),
        (
            '{"train": ["a"], "val": ["b"], "test": ["a"]}',
            "split.json.*`train` and `test` share 'a'",
        ),
        ('{"train": ["a"], "val": ["b"], "test": [3]}', "split.json.*`test`.*3"),
        ('{"train": ["a"], "val": ["b"], "test": 3}', "split.json.*list"),
        ('{"train": ["a"], "val": [], "test": ["c"]}', "split.json.*`validation` has no class"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, content, message):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        ClassSplit.from_json(tmp_path / "split.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.json"):
        ClassSplit.from_json(tmp_path / "none.json")
    write(tmp_path, train_txt="a\n", test_txt="b\n")
    with pytest.raises(FileNotFoundError, match="holds none of val.json.*validation_classes.txt"):
        ClassSplit.from_directory(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"train_txt": "a\nb\n\n", "val_txt": "c", "test_txt": "d\n"},
        {"train_classes_txt": "a\r\nb\r\n", "validation_classes_txt": "c", "test_classes_txt": "d"},
        {"train_csv": "a,x\nb,x\n", "val_csv": "c,y\n", "test_csv": "d,z\n"},
        {
            "train_csv": "filename,label\n1,a\n2,a\n3,b\n4,a\n",
            "val_csv": "filename,label\n1,c\n",
            "test_csv": "filename,label\n1,d\n",
        },
        {"train_json": '[["x", "a"], ["x", "b"]]', "val_json": '["c"]', "test_json": '[["d"]]'},
    ],
)
def test_every_layout_gives_the_names(tmp_path, files):
    split = ClassSplit.from_directory(write(tmp_path, **files))
    assert split == ClassSplit(["a", "b"], ["c"], ["d"])


@pytest.mark.parametrize(
    ("layout", "sizes", "some"),
    [
        ("miniimagenet_ravi", [64, 16, 20], {"train": "n01532829", "test": "n07613480"}),
        ("tieredimagenet", [351, 97, 160], {"train": "n01530575", "validation": "n02101556"}),
        ("cifar_fs", [64, 16, 20], {"train": "dolphin", "test": "whale"}),
        ("fc100", [12, 4, 4], {"validation": "non-insect_invertebrates", "test": "people"}),
        ("cub_torchmeta", [100, 50, 50], {"test": "004.Groove_billed_Ani"}),
        ("omniglot_vinyals", [4112, 688, 1692], {"validation": "Hebrew/character01/rot000"}),
        ("omniglot_torchmeta", [1028, 172, 423], {"test": "Gurmukhi/character42"}),
    ],
)
def test_published_lists_are_read(lists, layout, sizes, some):
    split = ClassSplit.from_directory(lists / layout)
    assert [len(names) for names in split.parts.values()] == sizes
    for part, name in some.items():
        assert name in split.parts[part]


def test_both_forms_of_the_lists_of_mini_imagenet_agree(lists):
    folder = lists / "miniimagenet_ravi"
    split = ClassSplit.from_directory(folder)
    for part, stem in (("train", "train"), ("validation", "val"), ("test", "test")):
        classes = (folder / f"{stem}_classes.txt").read_text().split()
        assert sorted(split.parts[part]) == sorted(classes)
    with open(folder / "val.csv", newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == set(split.validation)


def test_groups_stand_for_their_classes():
    bank = bank_of(["a/1/x", "a/1/y", "a/2/x", "b/1/x", "c/1/x", "c/1/y"])
    split = ClassSplit(["a/1"], ["b", "a/2/x"], ["c"]).expanded(bank)
    assert split.train == ("a/1/x", "a/1/y")
    assert split.validation == ("b/1/x", "a/2/x")
    assert split.test == ("c/1/x", "c/1/y")
    with pytest.raises(ValueError, match="`test`: 'd' not among"):
        ClassSplit(["a"], ["b"], ["d"]).expanded(bank)
    with pytest.raises(ValueError, match="`train` and `test` share 'a/1/x', 'a/1/y'"):
        ClassSplit(["a"], ["b"], ["a/1"]).expanded(bank)


def test_names_that_a_bank_lacks_are_reported():
    split = ClassSplit(["a", "b"], ["c"], list("defghijk"))
    split.check(bank_of(list("abcdefghijkl")))
    with pytest.raises(ValueError, match="`test`: 'd', 'e', 'f', 'g', 'h' and 3 more not among"):
        split.check(bank_of(list("abc")))


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ((["a"], ["b"], []), ValueError, "`test` has no class"),
        ((["a"], ["b", "b"], ["c"]), ValueError, "`validation`.*'b' again"),
        ((["a"], ["b"], ["b"]), ValueError, "`validation` and `test` share 'b';"),
        (("abc", ["d"], ["e"]), TypeError, "`train`.*'abc'"),
        (([1], ["d"], ["e"]), TypeError, "`train`.*1"),
        ((None, ["d"], ["e"]), TypeError, "`train`.*None"),
    ],
)
def test_bad_parts_are_refused_by_name(parts, error, message):
    with pytest.raises(error, match=message):
        ClassSplit(*parts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["a", "b"]}, "`names`.*three"),
        ({"names": ["a", "b", "c", "a"]}, "`names`.*'a'"),
        ({"fractions": (0.5, 0.5)}, "`fractions`"),
        ({"fractions": (0.5, 0.5, 0)}, "`fractions`"),
        ({"seed": -1}, "`seed`.*-1"),
        ({"seed": True}, "`seed`.*True"),
    ],
)
def test_bad_arguments_of_random_splits_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassSplit.random(**{"names": ["a", "b", "c", "d"], **arguments})
