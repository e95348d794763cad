"""Photographs of a user's own, from layouts on disk to a result, and what is wrong with them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tasks.photographs import unpack_photographs

from warptf.tasks.image_decoding import MAX_PIXELS
from warptf.train.command.cli import main
from warptf.train.experiments.few_shot.config import FewShotConfig

CLASSES = ["accordion", "anchor", "barrel", "bass", "beaver", "bonsai"]
FLAGS = ["train", "few-shot", "--preset", "smoke", "--ways", "2", "--filters", "2"]
FLAGS += ["--image-size", "16", "--meta-steps", "2", "--test-tasks", "5"]
SPLIT = {"train": CLASSES[:2], "val": CLASSES[2:4], "test": CLASSES[4:]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))


def result_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert main([*FLAGS, *arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_images_with_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """miniImageNet's layout: one folder of images, and lists filename,label."""
    found = unpack_photographs(tmp_path / "unpacked", CLASSES, 6)
    (tmp_path / "images").mkdir()
    for part, names in SPLIT.items():
        with (tmp_path / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", "label"])
            for name in names:
                for path in found[name]:
                    path.rename(tmp_path / "images" / f"{name}_{path.name}")
                    writer.writerow([f"{name}_{path.name}", name])
    data = ["--data", "csv", "--images", str(tmp_path / "images"), "--splits", str(tmp_path)]
    result_of([*data, "--run-dir", str(tmp_path / "run")], capsys)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["classes"] == SPLIT["test"]


@pytest.mark.slow
def test_tiered_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ILSVRC-12's training folder and lists of synset and parent, in the multi-shot protocol."""
    unpack_photographs(tmp_path / "ilsvrc", CLASSES, 6)
    for part, names in SPLIT.items():
        lines = [f"{name},parent of {part}\n" for name in names]
        (tmp_path / f"{part}.csv").write_text("".join(lines))
    data = ["--data", "tiered", "--images", str(tmp_path / "ilsvrc"), "--splits", str(tmp_path)]
    many = ["--meta-learner", "warp-leap", "--shots", "4", "--evaluation-shots", "2"]
    many += ["--batch-size", "3", "--inner-momentum", "0.9", "--run-dir", str(tmp_path / "run")]
    assert result_of([*data, *many], capsys)["shots"] == 4


def write_images(folder: Path, sizes: dict[str, list[tuple[int, int]]]) -> Path:
    for name, shapes in sizes.items():
        (folder / name).mkdir(parents=True)
        for number, shape in enumerate(shapes):
            pixels = np.full([*shape, 3], number, "uint8")
            tf.io.write_file(str(folder / name / f"{number}.png"), tf.io.encode_png(pixels))
    return folder


def fails(capsys: pytest.CaptureFixture[str], images: Path, *flags: str) -> str:
    """Returns the line that the command fails with, before it has made its run directory."""
    run = images.parent / "run"
    arguments = ["--data", "folder", "--images", str(images), "--run-dir", str(run), *flags]
    assert main([*FLAGS, *arguments]) == 1
    assert not run.exists()
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("warptf: error: ")
    return line


GOOD = {name: [(16, 16)] * 6 for name in "abcdef"}


def test_unreadable_images_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", GOOD)
    (images / "b" / "bad.jpg").write_bytes(b"no image")
    whole = (images / "c" / "1.png").read_bytes()
    (images / "c" / "1.png").write_bytes(whole[: len(whole) // 2])
    line = fails(capsys, images)
    assert "2 of the images" in line and "b/bad.jpg" in line and "c/1.png" in line


def test_too_few_images_in_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", GOOD | {"d": [(16, 16)] * 2})
    # What is asked for on the command line is not fitted to the folder.
    asked = ["--queries", "5", "--evaluation-queries", "5"]
    line = fails(capsys, images, "--fractions", "1", "1", "1", "--hold-out", "classes", *asked)
    assert "'d (2)'" in line and "images than the" in line


def test_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", {"only": [(16, 16)] * 6})
    line = fails(capsys, images)
    assert "has 1 folders ('only')" in line and "two classes at least" in line


def test_mixed_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", GOOD | {"e": [(16, 16)] * 5 + [(20, 30)]})
    assert "e/5.png (20x30)" in fails(capsys, images, "--no-resize")
    assert main([*FLAGS, "--data", "folder", "--images", str(images), "--fractions", "1", "1", "1",
                 "--run-dir", str(tmp_path / "run")]) == 0  # fmt: skip
    said = capsys.readouterr().err
    assert "images differ in size" in said and "1 are not: 'e/5.png (20x30)'" in said


def test_too_few_classes_for_the_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", GOOD)
    assert "fewer than --ways 2; lower --ways" in fails(capsys, images, "--hold-out", "classes")


def test_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, tmp_path / "nowhere")
    assert "--images" in line and "nowhere: is not there" in line


def test_other_classes_than_the_run_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class more, and another cut would test on classes that were meta-trained."""
    images = write_images(tmp_path / "images", GOOD)
    run = ["--run-dir", str(tmp_path / "run"), "--fractions", "1", "1", "1"]
    flags = [*FLAGS, "--data", "folder", "--images", str(images), *run]
    assert main(flags) == 0
    write_images(images, {"aa": [(16, 16)] * 6})
    assert main(["evaluate", str(tmp_path / "run")]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the data have other train classes than the run began with" in line
    assert "split.json" in line


def test_too_many_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", GOOD | {"b": [(16, 16)] * 5 + [(30, 40)]})
    line = fails(capsys, images, "--max-pixels", "1199")
    assert "'b/5.png': 40x30 pixels are more than --max-pixels 1199; raise it" in line
    assert FewShotConfig.from_preset("smoke").max_pixels == MAX_PIXELS


def test_what_is_passed_over_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", GOOD)
    (images / "a" / "notes.txt").write_text("no image")
    (images / "b" / "pixels").write_bytes((images / "b" / "0.png").read_bytes())
    (images / "b" / "Thumbs.db").touch()
    flags = [*FLAGS, "--data", "folder", "--images", str(images), "--hold-out", "classes"]
    assert main(flags) == 1  # too few classes
    said = capsys.readouterr().err
    assert "passed over 1 file in" in said and "'a/notes.txt (no image)'; and 1 hidden file" in said
    assert "decoding 37 images" in said
