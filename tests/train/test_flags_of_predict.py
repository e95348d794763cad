"""Bad requests for predictions are refused by the flag that was typed."""

from pathlib import Path

import pytest
from contracts.image_folders import good_images, one_class, two_classes

from warptf.train.command.cli import main

FOLDER = ["train", "few-shot", "--preset", "smoke", "--data", "folder", "--images", "{images}"]
FOLDER += ["--image-size", "16", "--filters", "2", "--ways", "2"]


@pytest.fixture(scope="module")
def run_of_photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a dense head for two classes."""
    root = tmp_path_factory.mktemp("photographs")
    good_images(root)
    words = [word.format(images=str(root / "images")) for word in FOLDER]
    words += ["--fractions", "1", "1", "1", "--queries", "2", "--evaluation-queries", "2"]
    words += ["--hold-out", "classes", "--meta-learner", "none"]
    words += ["--test-tasks", "2", "--run-dir", str(root / "run")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARPTF_CACHE_DIR", str(root / "cache"))
        assert main(words) == 0
    return root / "run"


PREDICT = {
    "support": (good_images, ["--support", "{lists}"], "--support {lists}: there is no folder"),
    "one class": (one_class, [], "--support {images}: "),
    "more classes": (good_images, [], "--support: has 6 classes"),
    "images": (two_classes, ["--images", "{lists}"], "--images {lists}: there is no folder"),
    "no image": (two_classes, ["--images", "{images}"], "--images {images}: "),
    "pixels": (two_classes, ["--max-pixels", "200"], "more than --max-pixels 200; raise it"),
    "no pixels": (two_classes, ["--max-pixels", "0"], "--max-pixels 0: give at least 1"),
    "steps": (two_classes, ["--steps", "0"], "--steps 0 must be a whole number of at least 1"),
    "out": (two_classes, ["--out", "{images}"], "--out {images}: is a folder; name a file"),
    "sheet": (two_classes, ["--contact-sheet", "a.csv"], "--contact-sheet a.csv: '.csv' is not a"),
}


@pytest.mark.parametrize("name", PREDICT)
def test_bad_requests_for_predictions_are_refused_by_the_flag(
    name: str,
    run_of_photographs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, words, expected = PREDICT[name]
    make(tmp_path)
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))
    places = {part: str(tmp_path / part) for part in ("images", "lists")}
    given = {"--support": "{images}", "--images": "{images}/a", "--out": str(tmp_path / "out.csv")}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    typed = [word.format(**places) for pair in given.items() for word in pair]
    assert main(["predict", str(run_of_photographs), *typed]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("warptf: error: ") and expected.format(**places) in line
    assert "`" not in line
    assert not (tmp_path / "out.csv").exists()
