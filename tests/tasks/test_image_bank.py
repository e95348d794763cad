import os

import numpy as np
import pytest

from warptf.tasks import ImageBank, image_bank
from warptf.tasks.image_bank import write_image_bank

IMAGES = np.random.RandomState(0).randint(0, 256, [6, 4, 5, 3]).astype("uint8")
LABELS, NAMES = [0, 1, 1, 0, 2, 1], ["a", "b", "ç/1"]
FILES = ["classes.json", "images.npy", "labels.npy"]


def test_keeps_what_it_was_given():
    bank = ImageBank(IMAGES, LABELS, NAMES)
    np.testing.assert_array_equal(bank.images, IMAGES)
    np.testing.assert_array_equal(bank.labels, LABELS)
    assert (bank.names, bank.image_shape) == (("a", "b", "ç/1"), (4, 5, 3))
    assert bank.class_sizes == {"a": 2, "b": 3, "ç/1": 1}
    assert bank.labels.dtype == np.int32 and not bank.is_mapped


def test_is_immutable_and_a_copy():
    images = IMAGES.copy()
    bank = ImageBank(images, LABELS, NAMES)
    images[:] = 0
    np.testing.assert_array_equal(bank.images, IMAGES)
    for array in (bank.images, bank.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_read_only_array_is_not_copied():
    images = IMAGES.copy()
    images.setflags(write=False)
    assert ImageBank(images, LABELS, NAMES).images is images


def test_a_subset_has_the_classes_in_the_order_asked_for():
    bank = ImageBank(IMAGES, LABELS, NAMES).subset(["ç/1", "b"])
    np.testing.assert_array_equal(bank.images, IMAGES[[1, 2, 4, 5]])
    assert (bank.labels.tolist(), bank.names) == ([1, 1, 0, 1], ("ç/1", "b"))
    with pytest.raises(ValueError, match="`names`: 'd' not in"):
        bank.subset(["b", "d"])


@pytest.mark.parametrize("memory_map", [None, False, True])
def test_comes_back_from_its_folder_and_replaces_it_whole(tmp_path, memory_map):
    path = tmp_path / "folder" / "bank"
    ImageBank(IMAGES[::-1], LABELS, NAMES).save(path)
    ImageBank(IMAGES, LABELS, NAMES).save(path)
    loaded = ImageBank.load(path, memory_map)
    np.testing.assert_array_equal(loaded.images, IMAGES)
    np.testing.assert_array_equal(loaded.labels, LABELS)
    assert loaded.names == tuple(NAMES)
    assert loaded.is_mapped == bool(memory_map)
    with pytest.raises(ValueError, match="read-only"):
        loaded.images[0] = 0
    assert os.listdir(path.parent) == ["bank"] and sorted(os.listdir(path)) == FILES


def test_large_banks_are_mapped(tmp_path, monkeypatch):
    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "bank")
    size = os.path.getsize(tmp_path / "bank" / "images.npy")
    for threshold, mapped in ((size, False), (size - 1, True)):
        monkeypatch.setattr(image_bank, "MAP_ABOVE", threshold)
        assert ImageBank.load(tmp_path / "bank").is_mapped == mapped


def test_a_mapped_bank_can_be_saved_elsewhere_and_over_itself(tmp_path):
    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "one")
    mapped = ImageBank.load(tmp_path / "one", memory_map=True)
    for target in ("other", "one"):
        mapped.save(tmp_path / target)
        np.testing.assert_array_equal(ImageBank.load(tmp_path / target).images, IMAGES)


def test_a_bank_is_written_in_parts(tmp_path):
    write_image_bank(tmp_path / "bank", IMAGES.shape, np.split(IMAGES, [1, 4]), LABELS, NAMES)
    np.testing.assert_array_equal(ImageBank.load(tmp_path / "bank").images, IMAGES)
    for parts in ([IMAGES[:5]], [IMAGES[:, 1:]], [IMAGES.astype("float32")]):
        with pytest.raises(ValueError, match="`parts`"):
            write_image_bank(tmp_path / "none", IMAGES.shape, parts, LABELS, NAMES)
    assert os.listdir(tmp_path) == ["bank"]


@pytest.mark.parametrize("when", ["writing", "moving"])
def test_an_interrupted_save_keeps_the_old_folder(tmp_path, monkeypatch, when):
    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "bank")
    rename = os.rename

    def interrupted(*arguments, **options):
        if when == "writing" or str(arguments[0]).endswith(".part"):
            raise KeyboardInterrupt
        rename(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*((np, "save") if when == "writing" else (os, "rename")), interrupted)
        with pytest.raises(KeyboardInterrupt):
            ImageBank(IMAGES[::-1], LABELS, NAMES).save(tmp_path / "bank")
    np.testing.assert_array_equal(ImageBank.load(tmp_path / "bank").images, IMAGES)
    assert os.listdir(tmp_path) == ["bank"]


def test_no_other_folder_is_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "precious.jpg").touch()
    (tmp_path / "file").touch()
    for name in ("photos", "file"):
        with pytest.raises(FileExistsError, match=f"{name}.*no image bank.*choose another"):
            ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / name)
    assert (tmp_path / "photos" / "precious.jpg").exists()
    assert sorted(os.listdir(tmp_path)) == ["file", "photos"]


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 50, -1])
@pytest.mark.parametrize("file", FILES)
def test_a_truncated_file_is_refused_by_name(tmp_path, file, cut, memory_map):
    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "bank")
    path = tmp_path / "bank" / file
    path.write_bytes(path.read_bytes()[:cut])
    if file == "classes.json" and cut == 50:
        path.write_bytes(b'["no", "object"]')
    with pytest.raises(ValueError, match=f"bank.{file}.*damaged.*delete"):
        ImageBank.load(tmp_path / "bank", memory_map)


@pytest.mark.parametrize("file", FILES)
def test_an_incomplete_folder_is_refused_by_name(tmp_path, file):
    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "bank")
    (tmp_path / "bank" / file).unlink()
    with pytest.raises(ValueError, match=f"bank.{file}.*missing.*delete"):
        ImageBank.load(tmp_path / "bank")
    with pytest.raises(FileNotFoundError, match="none"):
        ImageBank.load(tmp_path / "none")


def test_files_that_do_not_go_together_are_refused(tmp_path):
    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "bank")
    np.save(tmp_path / "bank" / "labels.npy", [0, 1])
    with pytest.raises(ValueError, match="bank.*`labels`.*delete"):
        ImageBank.load(tmp_path / "bank")


@pytest.mark.parametrize("file", ["images.npy", "labels.npy"])
def test_loading_runs_no_code(tmp_path, file):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    ImageBank(IMAGES, LABELS, NAMES).save(tmp_path / "bank")
    np.save(tmp_path / "bank" / file, np.array([Evil()]), allow_pickle=True)
    with pytest.raises(ValueError, match=f"bank.{file}.*damaged"):
        ImageBank.load(tmp_path / "bank")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("images", "labels", "names", "error", "message"),
    [
        (IMAGES[0], LABELS, NAMES, ValueError, r"`images`.*\(4, 5, 3\)"),
        (IMAGES[:, :0], LABELS, NAMES, ValueError, r"`images`.*\(6, 0, 5, 3\)"),
        (IMAGES / 255, LABELS, NAMES, TypeError, "`images`.*float64"),
        (IMAGES, LABELS[:4], NAMES, ValueError, r"`labels`.*6 `images`.*\(4,\)"),
        (IMAGES, np.zeros(6), NAMES, TypeError, "`labels`.*float64"),
        (IMAGES, [0, 1, 1, 0, 2, 3], NAMES, ValueError, r"`labels`.*\[0, 3\)"),
        (IMAGES, [0, 1, 1, 0, 2, -1], NAMES, ValueError, r"`labels`.*\[0, 3\)"),
        (IMAGES, [0, 1, 1, 0, 0, 0], NAMES, ValueError, "`labels`.*'ç/1'.*`names`"),
        (IMAGES, LABELS, ["a", "b", "a"], ValueError, "`names`.*'a'"),
        (IMAGES, LABELS, "abc", TypeError, "`names`"),
        (IMAGES, LABELS, [1, 2, 3], TypeError, "`names`"),
    ],
)
def test_bad_input_is_refused_by_name(images, labels, names, error, message):
    with pytest.raises(error, match=message):
        ImageBank(images, labels, names)
