"""Errors that begin in the library name the flags that a user of a command has typed."""

import re
from pathlib import Path
from typing import Any

import pytest
from contracts.image_folders import (
    damaged_backbone,
    damaged_image,
    empty_class,
    empty_list,
    few_images,
    good_images,
    gray_backbone,
    missing_folder,
    missing_image,
    no_list,
    no_lists,
    one_class,
    other_columns,
    other_size,
    repeated_class,
    repeated_class_in_rows,
    shallow_backbone,
    shared_class,
    shared_parent,
    short_row,
    unknown_class,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.train.command.cli import main
from warptf.train.engine.flag_names import naming_flags
from warptf.train.engine.run_options import flag

PYTHON = re.compile(r"`[a-z_]\w*(=[^`]*)?`|\b(warptf|tfds|tasks|numpy)\.\w+|\w\(\)")
FEW_SHOT = ["train", "few-shot", "--preset", "smoke"]
FOLDER = [*FEW_SHOT, "--data", "folder", "--images", "{images}", "--image-size", "16"]
FOLDER += ["--filters", "2", "--ways", "2"]
BACKBONE = [*FEW_SHOT, "--data", "folder", "--images", "{images}", "--learner", "backbone"]
BACKBONE += ["--image-size", "16", "--ways", "2", "--fractions", "1", "1", "1"]
CSV = [*FEW_SHOT, "--data", "csv", "--images", "{images}/a", "--splits", "{lists}"]
TIERED = [*FEW_SHOT, "--data", "tiered", "--images", "{images}", "--splits", "{lists}"]


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
    "backbone's file": (
        good_images,
        [*BACKBONE, "--backbone", "no.keras"],
        "no.keras: is not there; give",
    ),
    "backbone's name": (
        good_images,
        [*BACKBONE, "--backbone", "Mobil"],
        "--backbone Mobil: is neither",
    ),
    "no backbone": (good_images, BACKBONE, "--learner backbone: give --backbone FILE.keras"),
    "damaged backbone": (
        damaged_backbone,
        [*BACKBONE, "--backbone", "{images}/backbone.keras"],
        "--backbone {images}/backbone.keras: cannot be loaded",
    ),
    "backbone for other images": (
        gray_backbone,
        [*BACKBONE, "--backbone", "{images}/backbone.keras"],
        "{images}/backbone.keras: the backbone does not take images of --image-size (16, 16, 3)",
    ),
    "shallow backbone": (
        shallow_backbone,
        [*BACKBONE, "--backbone", "{images}/backbone.keras", "--adapt", "last-block"],
        "kernels: give --adapt head or film, and leave --train-last-block out",
    ),
    "weights of a backbone": (
        good_images,
        [*BACKBONE, "--backbone", "MobileNetV3Small", "--backbone-weights", "{lists}/w.h5"],
        "--backbone-weights {lists}/w.h5: is not there; give imagenet, none or a file",
    ),
    "pixels": (
        good_images,
        [*FOLDER, "--max-pixels", "200"],
        "more than --max-pixels 200; raise it",
    ),
    "no pixels": (good_images, [*FOLDER, "--max-pixels", "0"], "--max-pixels 0: give at least 1"),
    "held-out images": (
        few_images,
        [*FOLDER, "--hold-out", "images", "--shots", "5"],
        "lower --shots or --queries",
    ),
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
