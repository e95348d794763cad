"""Tasks fitted to what a folder of images holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from warptf.train.experiments.few_shot.config import FewShotConfig
from warptf.train.experiments.few_shot.experiment import FewShotExperiment

EXPERIMENT = FewShotExperiment()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))


def fitted(folder: Path, classes: int, images: int, *given: str, **fields: Any) -> FewShotConfig:
    png = tf.io.encode_png(np.zeros([4, 4, 3], "uint8"))
    for number in range(classes):
        for image in range(images):
            path = folder / f"class {number}" / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png.numpy())
    fields = dict(images=folder, image_size=4) | fields
    config = FewShotConfig.from_preset("laptop", "folder", "maml", **fields)
    return EXPERIMENT.fitted(config, set(given))


def test_two_classes_have_images_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = fitted(tmp_path / "images", 2, 10)
    # Of 10 images 6 train, 2 validate and 2 test.
    assert (config.hold_out, config.ways) == ("images", 2)
    assert (config.queries, config.evaluation_queries) == (5, 1)
    error = capsys.readouterr().err
    assert "fitted to 2 classes of 10 to 10 images" in error
    assert "--hold-out images --ways 2" in error and "--evaluation-queries 1" in error
    tasks = EXPERIMENT.build_tasks(config)
    assert tasks.describe()["test"] == ["test/class 0", "test/class 1"]
    assert next(iter(tasks.test)).query[1].numpy()[0].tolist() == [0, 1]


def test_what_is_enough_or_given_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = fitted(tmp_path / "images", 20, 4, "queries", queries=3, evaluation_queries=3)
    # Of 20 classes 13 train, 3 validate and 4 test.
    assert (config.hold_out, config.ways) == ("classes", 3)
    assert (config.queries, config.evaluation_queries) == (3, 3)
    assert "--ways 3" in capsys.readouterr().err
    kept = fitted(tmp_path / "images", 20, 4, "ways", "evaluation_queries", "queries", ways=2)
    assert (kept.ways, kept.evaluation_queries) == (2, 15)
    assert "fitted" not in capsys.readouterr().err
