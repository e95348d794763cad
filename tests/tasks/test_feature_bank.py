"""Features of frozen models, kept; and images held out of classes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptf.tasks import FeatureBank, FewShot, ImageBank, feature_bank, held_out_images
from warptf.tasks.class_split import ClassSplit

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (11, 4, 5, 3)).astype("uint8")
BANK = ImageBank(IMAGES, np.arange(11) % 3, ["a", "b", "c"])


class Counted(keras.layers.Layer):
    """Counts how often it is traced, which is once for each computation of a bank."""

    calls = 0

    def call(self, inputs: Any) -> Any:
        type(self).calls += not isinstance(inputs, keras.KerasTensor)
        return inputs


def model(scale: float = 2.0) -> keras.Model:
    layers = [
        keras.layers.Rescaling(scale, name="scale"),
        Counted(name="count"),
        keras.layers.GlobalAveragePooling2D(name="mean"),
        keras.layers.Dense(2, kernel_initializer="ones", name="map"),
    ]
    return keras.Sequential([keras.Input((4, 5, 3), name="images"), *layers], name="features")


def in_numpy(images: np.ndarray, scale: float = 2.0, weight: float = 1.0) -> np.ndarray:
    means = (images / 255.0 * scale).mean((1, 2)).sum(-1, keepdims=True) * weight
    return np.repeat(means, 2, axis=1)


def test_features_are_computed_once(tmp_path: Path) -> None:
    lines: list[str] = []
    first = feature_bank(BANK, model(), tmp_path, batch_size=4, progress=lines.append)
    np.testing.assert_allclose(first.images, in_numpy(IMAGES), rtol=1e-5)
    assert lines == ["computing features of 11 images"]
    np.testing.assert_array_equal(first.labels, BANK.labels)
    same = model()
    calls = Counted.calls
    again = feature_bank(BANK, same, tmp_path)
    assert Counted.calls == calls
    np.testing.assert_array_equal(again.images, first.images)
    assert isinstance(again, FeatureBank) and again.image_shape == (2,)


def test_other_weights_layers_or_images_have_other_features(tmp_path: Path) -> None:
    feature_bank(BANK, model(), tmp_path)
    other = model()
    other.layers[-1].kernel.assign(3.0 * np.ones((3, 2)))
    found = feature_bank(BANK, other, tmp_path).images
    np.testing.assert_allclose(found, in_numpy(IMAGES, weight=3.0), rtol=1e-5)
    found = feature_bank(BANK, model(5.0), tmp_path).images
    np.testing.assert_allclose(found, in_numpy(IMAGES, 5.0), rtol=1e-5)
    changed = IMAGES.copy()
    changed[7, 0, 0, 0] ^= 255
    bank = ImageBank(changed, BANK.labels, BANK.names)
    found = feature_bank(bank, model(), tmp_path).images
    np.testing.assert_allclose(found, in_numpy(changed), rtol=1e-5)
    assert len(list(tmp_path.iterdir())) == 4


def test_features_that_are_not_finite_are_refused_and_not_kept(tmp_path: Path) -> None:
    broken = model()
    broken.layers[-1].kernel.assign(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match=r"not finite for images 8 to 10|not finite for images 0"):
        feature_bank(BANK, broken, tmp_path, batch_size=4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mapped", [False, True])
def test_tasks_are_made_of_features(mapped: bool, tmp_path: Path) -> None:
    features = RNG.normal(size=(12, 6)).astype("float32")
    bank = FeatureBank(features, np.repeat(range(6), 2), list("abcdef"))
    if mapped:
        np.save(tmp_path / "x.npy", features)
        stored = np.load(tmp_path / "x.npy", mmap_mode="r")
        bank = FeatureBank(stored, bank.labels, bank.names)
    split = ClassSplit(["a", "b"], ["c", "d"], ["e", "f"])
    tasks = FewShot(bank, split, ways=2, queries=1, evaluation_tasks=3)
    for task in tasks.test:
        for x in np.concatenate([task.support[0], task.query[0]], axis=1).reshape(-1, 6):
            assert (features[8:] == x).all(-1).any()


def test_evaluation_may_have_other_ways() -> None:
    bank = ImageBank(
        np.zeros([36, 4, 4, 3], "uint8"), np.repeat(range(12), 3), list("abcdefghijkl")
    )
    split = ClassSplit(list("abcd"), list("efgh"), list("ijkl"))
    tasks = FewShot(bank, split, ways=2, queries=1, evaluation_ways=4)
    assert next(iter(tasks.train)).query[1].numpy()[0].tolist() == [0, 1]
    for data in (tasks.validation, tasks.test):
        assert next(iter(data)).support[1].numpy()[0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"validation has 4 classes.*`evaluation_ways` \(5\)"):
        FewShot(bank, split, ways=2, queries=1, evaluation_ways=5)


@given(
    st.lists(st.integers(3, 9), min_size=1, max_size=4),
    st.tuples(*[st.floats(0.05, 1.0)] * 3),
    st.integers(0, 50),
)
def test_held_out_images_are_in_one_part_each(sizes: list, fractions: tuple, seed: int) -> None:
    labels = np.repeat(range(len(sizes)), sizes)
    images = np.arange(len(labels), dtype="uint8").reshape(-1, 1, 1, 1)
    bank = ImageBank(images, labels, [f"c{i}" for i in range(len(sizes))])
    cut, split = held_out_images(bank, fractions, seed)
    assert [len(names) for names in split.parts.values()] == [len(sizes)] * 3
    for number, name in enumerate(bank.names):
        parts = [cut.subset([f"{p}/{name}"]).images.ravel() for p in split.parts]
        assert all(len(part) for part in parts)
        assert sorted(np.concatenate(parts)) == images[labels == number].ravel().tolist()


def test_classes_of_too_few_images_cannot_be_cut() -> None:
    bank = ImageBank(np.zeros([5, 2, 2, 3], "uint8"), [0, 0, 0, 1, 1], ["cat", "dog"])
    with pytest.raises(ValueError, match="dog has 2 images, fewer than the three parts"):
        held_out_images(bank)
