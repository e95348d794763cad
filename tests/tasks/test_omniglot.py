import io
import os
import socket
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from warptf.tasks import CharacterBank, MultiShot, omniglot_bank, prepare_omniglot
from warptf.tasks.omniglot import default_data_dir


@pytest.fixture(scope="session")
def bank(prepared_omniglot):
    return omniglot_bank(prepared_omniglot, download=False)


def test_tfds_reads_what_was_prepared(prepared_omniglot):
    datasets, info = tfds.load(
        "omniglot", data_dir=prepared_omniglot, download=False, with_info=True
    )
    counts = {split: info.splits[split].num_examples for split in datasets}
    assert counts == {"train": 19280, "test": 13180, "small1": 2720, "small2": 3120}
    example = next(iter(datasets["test"]))
    assert example["image"].shape == (105, 105, 3)
    name = info.features["label"].int2str(example["label"])
    alphabet = info.features["alphabet"].int2str(example["alphabet"])
    assert name == f"{alphabet}_{example['alphabet_char_id']}"


def test_nothing_but_the_data_set_and_its_cache_is_left(prepared_omniglot, bank):
    assert len(os.listdir(prepared_omniglot / "omniglot")) == 2
    assert (prepared_omniglot / "omniglot" / "3.0.0" / "dataset_info.json").is_file()


def test_preparing_again_does_nothing(prepared_omniglot, tmp_path):
    lines = []
    target = prepare_omniglot(tmp_path / "no archives", prepared_omniglot, lines.append)
    assert target == str(prepared_omniglot / "omniglot" / "3.0.0")
    assert lines == [f"already prepared in {target}"]


def test_counts_are_those_of_omniglot(bank):
    assert bank.images.shape == (1623, 20, 28, 28)
    sizes = bank.alphabet_sizes
    assert len(sizes) == 50
    assert (sizes["Latin"], sizes["Greek"], sizes["Tifinagh"]) == (26, 24, 55)
    assert sum(size >= 20 for size in sizes.values()) == 46


def test_drawings_are_those_of_the_archive(bank, omniglot_archives):
    alphabet = "Alphabet_of_the_Magi"
    with zipfile.ZipFile(omniglot_archives / "images_background.zip") as content:
        names = [name for name in content.namelist() if f"/{alphabet}/" in name]
        images = {
            name: np.asarray(Image.open(io.BytesIO(content.read(name))), "float32")
            for name in names
            if name.endswith(".png")
        }
    assert len(images) == 20 * 20
    for name in list(images)[::39]:
        character = int(os.path.basename(name)[:4]) - 1
        assert bank.names[bank.alphabets[character]] == alphabet
        ink = Image.fromarray(255 * (1 - images[name] / images[name].max()))
        small = np.asarray(ink.resize((28, 28), Image.Resampling.BILINEAR))
        distance = np.abs(bank.images[character].astype("float32") - small).mean(axis=(1, 2))
        assert distance.min() < 1.0 < np.sort(distance)[1]


def test_ink_is_one_on_empty_paper(bank):
    assert bank.images.max() == 255
    corners = bank.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).mean() > 0.98
    assert 0.02 < bank.images.mean() / 255 < 0.2


def test_decoded_drawings_are_kept_and_read_back(prepared_omniglot, bank):
    (cache,) = (prepared_omniglot / "omniglot").glob("*.npz")
    np.testing.assert_array_equal(CharacterBank.load(cache).images, bank.images)
    before = cache.stat().st_mtime_ns
    again = omniglot_bank(prepared_omniglot, download=False)
    assert cache.stat().st_mtime_ns == before
    np.testing.assert_array_equal(again.images, bank.images)
    np.testing.assert_array_equal(again.alphabets, bank.alphabets)
    assert again.names == bank.names


def test_the_paper_s_tasks_can_be_made(bank):
    tasks = MultiShot(bank, steps=1, batch_size=2, tasks_per_batch=2)
    splits = {split: len(names) for split, names in tasks.describe().items()}
    assert splits == {"train": 25, "validation": 11, "test": 10}
    assert next(iter(tasks.test)).query[0].shape == (5, 100, 28, 28, 1)


def test_the_variable_names_the_folder(bank, prepared_omniglot, monkeypatch):
    monkeypatch.setenv("WARPTF_DATA_DIR", str(prepared_omniglot))
    np.testing.assert_array_equal(omniglot_bank(download=False).images, bank.images)


def test_the_folder_falls_back_step_by_step(monkeypatch, tmp_path):
    monkeypatch.setenv("WARPTF_DATA_DIR", "/from/warptf")
    monkeypatch.setenv("TFDS_DATA_DIR", "/from/tfds")
    assert default_data_dir(tmp_path) == str(tmp_path)
    assert default_data_dir() == "/from/warptf"
    monkeypatch.delenv("WARPTF_DATA_DIR")
    assert default_data_dir() == "/from/tfds"
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert default_data_dir() == os.path.expanduser("~/tensorflow_datasets")


def test_without_a_network_the_error_names_the_remedy(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(FileNotFoundError) as caught:
        omniglot_bank(tmp_path)
    message = str(caught.value)
    remedy = f"warptf data prepare omniglot --archives DIR --data-dir {tmp_path}"
    assert remedy in message and "\n" not in message and "github.com cannot be reached" in message


def test_a_failing_download_names_the_remedy(tmp_path, monkeypatch):
    def failing(builder):
        raise ConnectionError("reset by peer")

    monkeypatch.setenv("https_proxy", "http://localhost:1")
    builder = type(tfds.builder("omniglot", data_dir=tmp_path))
    monkeypatch.setattr(builder, "download_and_prepare", failing)
    with pytest.raises(FileNotFoundError, match="ConnectionError.*warptf data prepare omniglot"):
        omniglot_bank(tmp_path)


def test_no_download_is_tried_unless_it_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("tried"))
    with pytest.raises(FileNotFoundError, match="`download` is False"):
        omniglot_bank(tmp_path, download=False)
