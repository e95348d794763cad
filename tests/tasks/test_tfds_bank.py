import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from warptf.tasks import FewShot, cifar_fs, fc100, tfds_bank

SPLITS = {
    part: Path(os.environ.get("WARPTF_DATA_DIR", "")) / "splits" / part
    for part in ("cifar_fs", "fc100")
}
COARSE = {"fish": ["ray", "trout"], "trees": ["oak_tree", "pine_tree"], "people": ["boy", "girl"]}
FINE = sorted(name for names in COARSE.values() for name in names)
PARENT = {name: parent for parent, names in COARSE.items() for name in names}


def image_of(number):
    return np.random.RandomState(number).randint(0, 256, [8, 8, 3]).astype("uint8")


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """The features of cifar100, with six classes of three superclasses."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(8, 8, 3)),
                    "label": tfds.features.ClassLabel(names=FINE),
                    "coarse_label": tfds.features.ClassLabel(names=sorted(COARSE)),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 30), "test": self._generate_examples(30, 42)}

    def _generate_examples(self, start, stop):
        for number in range(start, stop):
            name = FINE[number % 6]
            yield (
                number,
                {
                    "id": str(number),
                    "image": image_of(number),
                    "label": name,
                    "coarse_label": PARENT[name],
                },
            )


class TinyPicturesOfManySizes(tfds.core.GeneratorBasedBuilder):
    """Images of any size and one label, of which a class has none."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=["a", "b", "none"]),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(4):
            image = np.full([6 + number // 2, 9, 3], 40 * number, "uint8")
            yield number, {"image": image, "label": number % 2}


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("tiny_pictures", "tiny_pictures_of_many_sizes"):
        tfds.builder(name, data_dir=tmp_path).download_and_prepare()
    return tmp_path


def by_content(bank):
    return {
        image.tobytes(): bank.names[i] for image, i in zip(bank.images, bank.labels, strict=True)
    }


def test_all_splits_are_joined(prepared):
    bank = tfds_bank("tiny_pictures", prepared)
    assert bank.images.shape == (42, 8, 8, 3)
    assert bank.class_sizes == dict.fromkeys(FINE, 7)
    assert by_content(bank) == {image_of(n).tobytes(): FINE[n % 6] for n in range(42)}


def test_splits_can_be_chosen(prepared):
    bank = tfds_bank("tiny_pictures", prepared, ["test"])
    assert by_content(bank) == {image_of(n).tobytes(): FINE[n % 6] for n in range(30, 42)}
    both = tfds_bank("tiny_pictures", prepared, ["test", "train"])
    np.testing.assert_array_equal(both.images[:12], bank.images)


def test_classes_may_be_another_feature_or_several(prepared):
    bank = tfds_bank("tiny_pictures", prepared, label_key="coarse_label")
    assert bank.class_sizes == dict.fromkeys(sorted(COARSE), 14)
    bank = tfds_bank("tiny_pictures", prepared, label_key=("coarse_label", "label"))
    assert bank.class_sizes == {f"{PARENT[n]}/{n}": 7 for n in sorted(FINE, key=PARENT.get)}
    assert by_content(bank) == {
        image_of(n).tobytes(): f"{PARENT[FINE[n % 6]]}/{FINE[n % 6]}" for n in range(42)
    }


def test_images_of_many_sizes_need_a_size(prepared):
    with pytest.raises(ValueError, match="`image_size`: image .* is [67]x9, others are [67]x9"):
        tfds_bank("tiny_pictures_of_many_sizes", prepared)
    assert not list((prepared / "cache").iterdir())
    bank = tfds_bank("tiny_pictures_of_many_sizes", prepared, image_size=4)
    assert bank.images.shape == (4, 4, 4, 3)
    assert sorted(bank.images[:, 0, 0, 0].tolist()) == [0, 40, 80, 120]
    assert bank.class_sizes == {"a": 2, "b": 2}


def test_images_are_decoded_once(prepared, monkeypatch):
    lines = []
    bank = tfds_bank("tiny_pictures", prepared, progress=lines.append)
    assert lines == ["decoding 42 images of tiny_pictures/1.0.0"]
    module = sys.modules[tfds_bank.__module__]
    monkeypatch.setattr(module, "fitted", lambda *arguments: pytest.fail("decoded"))
    np.testing.assert_array_equal(tfds_bank("tiny_pictures", prepared).images, bank.images)


@pytest.fixture
def cifar(prepared, monkeypatch):
    """The small set takes the place of CIFAR-100."""
    builder = tfds.builder
    monkeypatch.setattr(
        tfds,
        "builder",
        lambda name, **options: builder({"cifar100": "tiny_pictures"}[name], **options),
    )
    return prepared


def write_lists(folder, train, val, test):
    for part, content in (("train", train), ("val", val), ("test", test)):
        (folder / f"{part}.json").write_text(content)
    return folder


def test_cifar_fs_is_split_by_class(cifar):
    lists = write_lists(
        cifar, '[["fish", "ray"], ["trees", "oak_tree"]]', '[["people", "boy"]]', '["girl"]'
    )
    bank, split = cifar_fs(cifar, lists)
    assert bank.names == tuple(FINE)
    assert list(split.parts.values()) == [("ray", "oak_tree"), ("boy",), ("girl",)]
    if SPLITS["cifar_fs"].is_dir():
        with pytest.raises(ValueError, match="`train`: 'apple'.*not among the 6 classes"):
            cifar_fs(cifar, SPLITS["cifar_fs"])


def test_fc100_is_split_by_superclass(cifar):
    lists = write_lists(cifar, '["fish"]', '["trees"]', '["people"]')
    bank, split = fc100(cifar, lists)
    assert list(split.parts.values()) == [
        ("fish/ray", "fish/trout"),
        ("trees/oak_tree", "trees/pine_tree"),
        ("people/boy", "people/girl"),
    ]
    task = next(iter(FewShot(bank, split, ways=2, shots=1, queries=6).train))
    assert task.query[0].shape == (4, 12, 8, 8, 3)
    if SPLITS["fc100"].is_dir():
        with pytest.raises(ValueError, match="`train`: 'flowers'.*not among the 6 classes"):
            fc100(cifar, SPLITS["fc100"])


def test_no_download_is_tried_unless_it_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("tried"))
    with pytest.raises(FileNotFoundError) as caught:
        tfds_bank("cifar100", tmp_path, download=False)
    message = str(caught.value)
    assert "cifar100" in message and "`download` is False" in message
    assert "tfds build cifar100 --data_dir DIR" in message and str(tmp_path) in message


def test_without_a_network_the_error_names_the_remedy(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(FileNotFoundError, match="www.cs.toronto.edu cannot be reached.*tfds build"):
        tfds_bank("cifar100", tmp_path)


def test_a_failing_download_names_the_remedy(tmp_path, monkeypatch):
    def failing(builder):
        raise ConnectionError("reset by peer\nlong trace")

    monkeypatch.setenv("https_proxy", "http://localhost:1")
    monkeypatch.setattr(TinyPictures, "download_and_prepare", failing)
    with pytest.raises(FileNotFoundError, match="ConnectionError: reset by peer.*tfds build"):
        tfds_bank("tiny_pictures", tmp_path)


def test_what_is_not_prepared_is_prepared(tmp_path):
    bank = tfds_bank("tiny_pictures", tmp_path, cache_dir=tmp_path / "cache")
    assert len(bank.images) == 42


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "no_such_pictures"}, "`name`.*'no_such_pictures'.*catalog"),
        ({"split_names": ["train", "val"]}, r"`split_names`: \['val'\].*\['test', 'train'\]"),
        ({"split_names": []}, "`split_names`"),
        ({"label_key": "id"}, r"`label_key`: \['id'\].*\['coarse_label', 'label'\]"),
        ({"label_key": ()}, "`label_key`"),
        ({"image_size": -1}, "`image_size`.*-1"),
    ],
)
def test_bad_arguments_are_refused_by_name(prepared, arguments, message):
    with pytest.raises(ValueError, match=message):
        tfds_bank(**{"name": "tiny_pictures", "data_dir": prepared, **arguments})
