"""Errors that begin in the library name the flags that a user of a command has typed."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.train.cli import main
from warptf.train.flag_names import naming_flags
from warptf.train.run_options import flag

PYTHON = re.compile(r"`[a-z_]\w*(=[^`]*)?`|\b(warptf|tfds|tasks|numpy)\.\w+|\w\(\)")
FEW_SHOT = ["train", "few-shot", "--preset", "smoke"]
FOLDER = [*FEW_SHOT, "--data", "folder", "--images", "{images}", "--image-size", "16"]
FOLDER += ["--filters", "2", "--ways", "2"]
CSV = [*FEW_SHOT, "--data", "csv", "--images", "{images}/a", "--splits", "{lists}"]
TIERED = [*FEW_SHOT, "--data", "tiered", "--images", "{images}", "--splits", "{lists}"]
PARTS = ("train", "val", "test")


def images(folder: Path, names: str = "abcdef", count: int = 6, side: int = 16) -> None:
    """Writes a folder of images for each name."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full([side, side, 3], number, "uint8")
            tf.io.write_file(str(folder / name / f"{number}.png"), tf.io.encode_png(pixels))


def lists(folder: Path, **parts: Any) -> None:
    """Writes a list for each part: as JSON, or a text as it is."""
    folder.mkdir()
    for name, content in parts.items():
        is_text = isinstance(content, str)
        path = folder / f"{name}.{'csv' if is_text else 'json'}"
        path.write_text(content if is_text else json.dumps(content))


def good_images(root: Path) -> None:
    images(root / "images")


def one_class(root: Path) -> None:
    images(root / "images", "a")


def empty_class(root: Path) -> None:
    images(root / "images")
    (root / "images" / "g").mkdir()


def damaged_image(root: Path) -> None:
    images(root / "images")
    (root / "images" / "a" / "bad.png").write_bytes(b"no image")


def other_size(root: Path) -> None:
    images(root / "images", "abcde")
    images(root / "images", "f", side=20)


def few_images(root: Path) -> None:
    images(root / "images", count=3)


def no_lists(root: Path) -> None:
    images(root / "images")
    (root / "lists").mkdir()


def unknown_class(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "b"], val=["c", "d"], test=["e", "zebra"])


def shared_class(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "b"], val=["c", "d"], test=["e", "a"])


def repeated_class(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "a"], val=["c", "d"], test=["e", "f"])


def empty_list(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "b"], val=[], test=["e", "f"])


def no_list(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train={"a": 1}, val=["c"], test=["e", "f"])


def other_columns(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", **dict.fromkeys(PARTS, "image;class\n1;a\n"))


def short_row(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", **dict.fromkeys(PARTS, "filename,label\n1.png\n"))


def missing_image(root: Path) -> None:
    images(root / "images")
    rows = {part: f"filename,label\n{n}.png,c{n}\n" for n, part in enumerate(PARTS, 4)}
    lists(root / "lists", **rows)


def repeated_class_in_rows(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", **dict.fromkeys(PARTS, "filename,label\n1.png,c\n"))


def missing_folder(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train="a,p\nz,p\n", val="b,q\n", test="c,r\n")


def shared_parent(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train="a,p\n", val="b,p\n", test="c,r\n")


def nothing(root: Path) -> None:
    pass


MULTI_SHOT = ["train", "multi-shot", "--preset", "smoke"]
BAD: dict[str, tuple[Any, list[str], str]] = {
    "alphabets": (nothing, [*MULTI_SHOT, "--train-alphabets", "900"], "--train-alphabets 900 and"),
    "characters": (nothing, [*MULTI_SHOT, "--ways", "900"], "of at least --ways 900 characters"),
    "glyphs": (nothing, [*FEW_SHOT, "--ways", "900"], "fewer than --ways 900; lower --ways or"),
    "shots": (nothing, [*FEW_SHOT, "--shots", "19"], "lower --shots or --queries"),
    "evaluation shots": (
        nothing,
        [*FEW_SHOT, "--evaluation-shots", "19"],
        "lower --evaluation-shots or --evaluation-queries",
    ),
    "network": (nothing, [*FEW_SHOT, "--learner", "six-block", "--filters", "None"], "six-block"),
    "continual": (
        nothing,
        ["train", "continual-sine", "--preset", "smoke", "--data", "glyphs", "--ways", "900"],
        "--ways 900",
    ),
    "classes": (good_images, [*FOLDER, "--ways", "5"], "--data folder: "),
    "images": (few_images, [*FOLDER], "--data folder: "),
    "small": (good_images, [*FOLDER, "--fractions", "1", "1", "1", "--image-size", "8"], "-size 8"),
    "one class": (one_class, FOLDER, "--images {images}: "),
    "empty class": (empty_class, FOLDER, "--images {images}: "),
    "damaged image": (damaged_image, FOLDER, "--images {images}: "),
    "other size": (other_size, [*FOLDER, "--no-resize"], "--image-size without --no-resize"),
    **{
        f"lists: {make.__name__}": (make, [*FOLDER, "--splits", "{lists}"], "--splits {lists}")
        for make in (no_lists, unknown_class, shared_class, repeated_class, empty_list, no_list)
    },
    **{
        f"csv: {make.__name__}": (make, CSV, "--splits {lists}")
        for make in (no_lists, other_columns, short_row, repeated_class_in_rows)
    },
    "csv: missing image": (missing_image, CSV, "--images {images}/a: "),
    **{
        f"tiered: {make.__name__}": (make, TIERED, "--splits {lists}: ")
        for make in (no_lists, short_row, shared_parent)
    },
    "tiered: missing folder": (missing_folder, TIERED, "--images {images}: "),
    "cifar-fs": (
        empty_list,
        [*FEW_SHOT, "--data", "cifar-fs", "--splits", "{lists}"],
        "--splits {lists}",
    ),
    "tfds": (nothing, [*FEW_SHOT, "--data", "tfds", "--tfds-name", "no_set"], "--tfds-name no_set"),
    "archives": (
        nothing,
        ["data", "prepare", "omniglot", "--archives", "{lists}", "--data-dir", "{images}"],
        "--archives {lists}: ",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_the_flag(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, words, expected = BAD[name]
    make(tmp_path)
    if make is not nothing:
        # Glyphs take seconds to draw, and are the same in all tests.
        monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))
    places = {part: str(tmp_path / part) for part in ("images", "lists")}
    run = [] if words[0] == "data" else ["--run-dir", str(tmp_path / "run")]
    assert main([*(word.format(**places) for word in words), *run]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("warptf: error: ")
    assert expected.format(**places) in line
    assert not PYTHON.search(line.replace(str(tmp_path), "")), line
    assert not (tmp_path / "run").exists()


def test_forms_of_an_argument() -> None:
    values = {"ways": 5, "resize": False, "fractions": (1, 2, 1), "images": None, "shots": 1}
    cases = {
        "`ways` (5) and `ways` (7)": "--ways 5 and --ways (7)",
        "`fractions`: wrong, see `fractions`": "--fractions 1 2 1: wrong, see --fractions",
        "without `resize=False`": "without --no-resize",
        "with `resize=True`": "with --resize",
        "give `ways=3`": "give --ways 3",
        "ways must be odd; ways must": "--ways 5 must be odd; ways must",
        "`folder`: none": "--images: none",
        "more in `bank` (12)": "more in the data (12)",
        "call `other`, or `warptf data prepare`": "call `other`, or `warptf data prepare`",
    }
    for text, expected in cases.items():
        with (
            pytest.raises(ValueError) as error,
            naming_flags(values, folder="images", bank="the data"),
        ):
            raise ValueError(text)
        assert str(error.value) == expected


def test_what_an_error_is_about_stands_first_where_it_names_no_flag() -> None:
    cases = {"is broken": "--images x: is broken", "--ways 3: no": "--ways 3: no"}
    for text, expected in cases.items():
        with pytest.raises(FileNotFoundError) as error, naming_flags({"images": "x"}, "images"):
            raise FileNotFoundError(text)
        assert str(error.value) == expected


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyError("`ways`"), ValueError(3)])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    before = str(error)
    with pytest.raises(type(error)) as raised, naming_flags({"ways": 5}):
        raise error
    assert raised.value is error and str(error) == before


NAMES = ("ways", "shots", "batch_size", "evaluation_shots", "run_dir", "k")


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), st.integers()), st.text("abc _()-", max_size=30))
def test_every_argument_is_replaced_and_nothing_else(values: dict[str, int], rest: str) -> None:
    """A message is its parts, in the same order, with flags where arguments were."""
    text = rest + "".join(f" `{name}`," for name in values)
    with pytest.raises(TypeError) as error, naming_flags(values):
        raise TypeError("so: " + text)
    flags = "".join(f" {flag(name)}," for name in values)
    assert str(error.value) == "so: " + rest + flags
