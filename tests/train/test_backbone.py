"""Few-shot learners on a pretrained backbone, from a folder of images to predictions."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.experiment import check_evaluation

from warptf.models.backbone_learner import backbone_parts
from warptf.train.command.cli import main
from warptf.train.experiments.few_shot.config import FewShotConfig
from warptf.train.experiments.few_shot.experiment import FewShotExperiment

EXPERIMENT = FewShotExperiment()
CLASSES, IMAGES, SIZE = 9, 6, 16
TINY: dict[str, Any] = dict(
    learner="backbone",
    image_size=SIZE,
    ways=2,
    queries=2,
    evaluation_queries=3,
    meta_steps=2,
    inner_steps=1,
    evaluation_steps=1,
    test_tasks=5,
    validation_tasks=5,
    initialization_rate=0.1,
    meta_rate=0.1,
    fractions=(3, 3, 3),
)


def write_images(folder: Path, classes: range) -> None:
    """Classes of one colour each, with noise."""
    for number in classes:
        rng = np.random.default_rng(number)
        colour = rng.integers(40, 216, 3)
        (folder / f"class {number}").mkdir(parents=True)
        for image in range(IMAGES):
            pixels = colour + rng.integers(-40, 40, (20, 20, 3))
            png = tf.io.encode_png(pixels.clip(0, 255).astype("uint8"))
            tf.io.write_file(str(folder / f"class {number}" / f"{image}.png"), png)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a backbone."""
    root = tmp_path_factory.mktemp("backbone")
    write_images(root / "images", range(CLASSES))
    keras.utils.set_random_seed(0)
    layers = keras.layers
    backbone = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Conv2D(5, 1, activation="relu"),
            layers.Conv2D(6, 1, activation="relu"),
        ]
    )
    rng = np.random.default_rng(1)
    backbone.layers[1].moving_mean.assign(rng.normal(size=4))
    backbone.layers[1].moving_variance.assign(rng.uniform(0.5, 2, size=4))
    backbone.save(root / "backbone.keras")
    return root


@pytest.fixture(autouse=True)
def cache(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(folder / "cache"))


def config(method: str, folder: Path, run_dir: Path, **fields: Any) -> FewShotConfig:
    given = dict(images=folder / "images", backbone=str(folder / "backbone.keras"), run_dir=run_dir)
    if method in ("centroid", "proto-net"):
        fields = dict(inner_steps=0, evaluation_steps=0) | fields
    if method == "centroid":
        fields = dict(meta_steps=0) | fields
    return FewShotConfig.from_preset("smoke", "folder", method, **{**TINY, **given, **fields})


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of Warp-MAML."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARPTF_CACHE_DIR", str(folder / "cache"))
        EXPERIMENT.train(config("warp-maml", folder, run_dir, backbone_preprocessing="imagenet"))
    return run_dir


@pytest.mark.slow
def test_the_kept_learner_takes_images_and_scores_the_same(
    finished: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features computed once, or by the learner for every image of every task."""
    (folder / "backbone.keras").rename(folder / "moved.keras")
    try:
        check_evaluation(finished, capsys)  # for which the backbone's file is not needed
    finally:
        (folder / "moved.keras").rename(folder / "backbone.keras")
    learner = keras.models.load_model(finished / "model.keras")
    assert learner.model.input_shape == (None, SIZE, SIZE, 3)
    own_network = {**TINY, "learner": "four-block", "filters": 2, "images": folder / "images"}
    tasks = EXPERIMENT.build_tasks(
        FewShotConfig.from_preset("smoke", "folder", "warp-maml", **own_network)
    )
    scores = learner.evaluate_tasks(tasks.test)
    written = json.loads((finished / "scores.json").read_text())
    np.testing.assert_allclose(scores["loss"], written["loss"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(scores["accuracy"], written["accuracy"], atol=1e-6)


def test_what_is_frozen_stays_and_the_rest_moves(finished: Path, folder: Path) -> None:
    before = keras.models.load_model(folder / "backbone.keras")
    learner = keras.models.load_model(finished / "model.keras")
    features, classifier = backbone_parts(learner.model)
    assert not features.trainable_variables
    trunk = features.get_layer("backbone")
    for old, new in zip(before.weights, trunk.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert any(np.any(v.numpy()) for v in classifier.get_layer("adapter_film").weights)


def test_preprocessing_is_part_of_the_learner(finished: Path, folder: Path) -> None:
    learner = keras.models.load_model(finished / "model.keras")
    backbone = keras.models.load_model(folder / "backbone.keras")
    x = np.random.default_rng(0).random((3, SIZE, SIZE, 3), "float32")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    maps = backbone((x - mean) / deviation, training=False).numpy().mean((1, 2))
    expected = maps / np.linalg.norm(maps, axis=-1, keepdims=True)
    found = backbone_parts(learner.model).features(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_centroid_is_the_nearest_class_mean_by_cosine(folder: Path, tmp_path: Path) -> None:
    run = config("centroid", folder, tmp_path / "run", evaluation_shots=2)
    result = EXPERIMENT.train(run)
    tasks = EXPERIMENT.build_tasks(run)
    hits = []
    for batch in tasks.test:
        for x, y, q, t in zip(*batch.support, *batch.query, strict=True):
            means = np.stack([x.numpy()[y.numpy() == c].mean(0) for c in range(2)])
            cosines = q.numpy() @ (means / np.linalg.norm(means, axis=-1, keepdims=True)).T
            hits.append(cosines.argmax(-1) == t.numpy())
    assert result["accuracy"] == pytest.approx(np.mean(hits))
    assert result["centroid_accuracy"] == pytest.approx(np.mean(hits))
    assert result["reported_meta_step"] == 0


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("proto-net", dict(adapter="residual")),
        pytest.param("meta-sgd", dict(adapter="attention"), marks=pytest.mark.slow),
        pytest.param("maml", dict(adapt="last-block", evaluation_ways=3), marks=pytest.mark.slow),
        pytest.param(
            "warp-maml",
            dict(adapt="film", train_last_block=True, adapter="residual"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_methods_learn_on_a_backbone(
    method: str, fields: dict, folder: Path, tmp_path: Path
) -> None:
    run = config(method, folder, tmp_path / "run", evaluate_every=0, **fields)
    tasks = EXPERIMENT.build_tasks(run)
    learner = EXPERIMENT.build_learner(run, tasks)
    before = [v.numpy() for v in learner.model.trainable_variables]
    learner.fit(tasks.train, steps_per_epoch=1, verbose=0)
    after = learner.model.trainable_variables
    moved = [v.path for v, w in zip(after, before, strict=True) if not np.array_equal(v, w)]
    scores = EXPERIMENT.score_validation(learner, tasks)
    assert np.isfinite(scores["loss"])
    assert any("adapter" in path for path in moved)
    if "block" in str(fields):
        assert any("conv2d" in path for path in moved), moved


def test_predictions_of_a_folder(finished: Path, folder: Path, tmp_path: Path) -> None:
    """Two classes, and more than the run had; the classes are those of new folders."""
    write_images(tmp_path / "two", range(20, 22))
    asked = tmp_path / "asked"
    asked.mkdir()
    shutil.copy(tmp_path / "two" / "class 21" / "3.png", asked / "b.png")
    shutil.copy(tmp_path / "two" / "class 20" / "2.png", asked / "a.png")
    out, sheet = tmp_path / "out" / "p.csv", tmp_path / "sheet.png"
    paths = ["--images", str(asked), "--out", str(out), "--contact-sheet", str(sheet)]
    assert main(["predict", str(finished), "--support", str(tmp_path / "two"), *paths]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["file"] for row in rows] == ["a.png", "b.png"]
    for row in rows:
        each = [float(row[name]) for name in ("class 20", "class 21")]
        assert sum(each) == pytest.approx(1, abs=2e-4)
        assert float(row["confidence"]) == pytest.approx(max(each))
        assert row["prediction"] == ("class 20", "class 21")[int(np.argmax(each))]
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    paths = ["--images", str(asked), "--out", str(out)]
    assert main(["predict", str(finished), "--support", str(folder / "images"), *paths]) == 0
    assert len(next(csv.reader(out.read_text().splitlines()))) == 3 + CLASSES


def test_other_ways_and_shots_of_a_finished_run(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(finished), "--evaluation-shots", "2", "--test-tasks", "3"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["evaluation_shots"], result["test_tasks"]) == (2, 3)
    # More classes than in meta-training, which had two.
    assert main(["evaluate", str(finished), "--evaluation-ways", "3"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["evaluation_ways"] == 3 and 0 < result["macro_f1"] <= 1
    assert main(["evaluate", str(finished), "--evaluation-ways", "4"]) == 1
    assert "3 classes" in (error := capsys.readouterr().err)
    assert "lower --evaluation-ways" in error


def no_network(*args: Any, **kwargs: Any) -> Any:
    if kwargs.get("weights") == "imagenet":
        raise Exception("URL fetch failure on https://x/y.h5: None -- [Errno -3] no name")
    return keras.Sequential([keras.Input(kwargs["input_shape"]), keras.layers.Conv2D(2, 3)])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(backbone="nowhere.keras"), "nowhere.keras: is not there; give a .keras file"),
        (dict(backbone="MobileNetV9"), "MobileNetV9: is neither a .keras file nor a model of ker"),
        (dict(backbone=None), "--learner backbone: give --backbone FILE.keras or a name with it"),
        (dict(head="dense"), "--head dense: --learner backbone has class-means"),
        (dict(warp="conv3x3"), "--warp conv3x3: --learner backbone has --adapter; give None"),
        (dict(augment=True), "--augment True: features of a frozen backbone are computed once"),
        (dict(backbone_weights="none"), "--backbone-weights none: a .keras file has its own"),
        (dict(inner_steps=0), "--inner-steps 0: give at least 1"),
        (dict(learner="four-block", filters=2, warp="scale"), "is for --learner backbone; give"),
    ],
)
def test_bad_options_are_named(fields: dict, message: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        EXPERIMENT.fitted(config("warp-maml", folder, tmp_path / "run", **fields), set())
    assert message in str(error.value)


def test_weights_that_cannot_be_downloaded_are_one_line_with_the_remedy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.applications, "MobileNetV3Small", no_network)
    run = config("centroid", folder, tmp_path / "run", backbone="MobileNetV3Small")
    with pytest.raises(OSError, match=r"cannot be downloaded .*--backbone-weights FILE.*none"):
        EXPERIMENT.train(run)
    assert not (tmp_path / "run").exists()
    run = config(
        "centroid", folder, tmp_path / "run", backbone="MobileNetV3Small", backbone_weights="none"
    )
    assert 0 <= EXPERIMENT.train(run)["accuracy"] <= 1
