import os
import zipfile

import numpy as np
import pytest

from warptf.tasks import CharacterBank
from warptf.tasks.array_files import TooLarge, read_arrays

IMAGES = np.random.RandomState(0).randint(0, 256, [5, 3, 4, 6]).astype("uint8")
ALPHABETS, NAMES = [0, 1, 1, 0, 2], ["a", "b", "ç"]


def test_keeps_what_it_was_given():
    bank = CharacterBank(IMAGES, ALPHABETS, NAMES)
    np.testing.assert_array_equal(bank.images, IMAGES)
    np.testing.assert_array_equal(bank.alphabets, ALPHABETS)
    assert (bank.names, bank.drawings, bank.image_shape) == (("a", "b", "ç"), 3, (4, 6, 1))
    assert bank.alphabet_sizes == {"a": 2, "b": 2, "ç": 1}


def test_is_immutable_and_a_copy():
    images = IMAGES.copy()
    bank = CharacterBank(images, ALPHABETS, NAMES)
    images[:] = 0
    np.testing.assert_array_equal(bank.images, IMAGES)
    for array in (bank.images, bank.alphabets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_takes_floats_whose_ink_is_one():
    bank = CharacterBank(IMAGES / 255, ALPHABETS, NAMES)
    np.testing.assert_array_equal(bank.images, IMAGES)


def test_comes_back_from_its_file_and_replaces_it_whole(tmp_path):
    path = tmp_path / "folder" / "bank.npz"
    CharacterBank(IMAGES[::-1], ALPHABETS, NAMES).save(path)
    CharacterBank(IMAGES, ALPHABETS, NAMES).save(path)
    loaded = CharacterBank.load(path)
    np.testing.assert_array_equal(loaded.images, IMAGES)
    np.testing.assert_array_equal(loaded.alphabets, ALPHABETS)
    assert loaded.names == tuple(NAMES)
    assert os.listdir(path.parent) == ["bank.npz"]


def test_an_interrupted_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "bank.npz"
    CharacterBank(IMAGES, ALPHABETS, NAMES).save(path)

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CharacterBank(IMAGES[::-1], ALPHABETS, NAMES).save(path)
    np.testing.assert_array_equal(CharacterBank.load(path).images, IMAGES)
    assert os.listdir(tmp_path) == ["bank.npz"]


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, cut):
    path = tmp_path / "bank.npz"
    CharacterBank(IMAGES, ALPHABETS, NAMES).save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="bank.npz.*damaged"):
        CharacterBank.load(path)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    path = tmp_path / "bank.npz"
    for content in ({"images": IMAGES}, {"images": IMAGES, "alphabets": [[0]], "names": NAMES}):
        np.savez(path, **content)
        with pytest.raises(ValueError, match=r"bank.npz|`alphabets`"):
            CharacterBank.load(path)
    with open(path, "wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(ValueError, match="bank.npz.*damaged"):
        CharacterBank.load(path)


def test_loading_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    np.savez(tmp_path / "bank.npz", images=np.array([Evil()]), alphabets=[0], names=["a"])
    with pytest.raises(ValueError, match="bank.npz.*damaged"):
        CharacterBank.load(tmp_path / "bank.npz")
    assert not (tmp_path / "ran").exists()


def test_arrays_that_are_too_large_are_not_unpacked(tmp_path):
    """As the file's own directory says, which may be as false as the file is small."""
    path = tmp_path / "bank.npz"
    CharacterBank(IMAGES, ALPHABETS, NAMES).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo("images.npy").file_size = 2**31
        archive.writestr("other.npy", b"")  # so that the directory is written anew
    with pytest.raises(ValueError, match="bank.npz.*take 2147.* bytes, more than 1073741824"):
        CharacterBank.load(path)
    np.savez_compressed(path, x=np.zeros(1000, "uint8"))
    assert read_arrays(path, ["x"], 1200)[0].shape == (1000,)
    with pytest.raises(TooLarge, match="more than 1000"):
        read_arrays(path, ["x"], 1000)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        CharacterBank.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("images", "alphabets", "names", "error", "message"),
    [
        (IMAGES[0], ALPHABETS, NAMES, ValueError, r"`images`.*\(3, 4, 6\)"),
        (IMAGES[:, :0], ALPHABETS, NAMES, ValueError, r"`images`.*\(5, 0, 4, 6\)"),
        (IMAGES.astype("int32"), ALPHABETS, NAMES, TypeError, "`images`.*int32"),
        (IMAGES.astype("float32"), ALPHABETS, NAMES, ValueError, r"`images`.*\[0, 255\]"),
        (np.full(IMAGES.shape, np.nan), ALPHABETS, NAMES, ValueError, "`images`.*NaN"),
        (np.full(IMAGES.shape, -0.1), ALPHABETS, NAMES, ValueError, r"`images`.*-0\.1"),
        (IMAGES, ALPHABETS[:4], NAMES, ValueError, r"`alphabets`.*5 characters.*\(4,\)"),
        (IMAGES, [0.0, 1, 1, 0, 2], NAMES, TypeError, "`alphabets`.*float64"),
        (IMAGES, [0, 1, 1, 0, 3], NAMES, ValueError, r"`alphabets`.*\[0, 3\)"),
        (IMAGES, [0, 1, 1, 0, -1], NAMES, ValueError, r"`alphabets`.*\[0, 3\)"),
        (IMAGES, [0, 1, 1, 0, 0], NAMES, ValueError, r"`alphabets`.*\[2\].*`names`"),
        (IMAGES, ALPHABETS, ["a", "b", "a"], ValueError, r"`names`.*'a' again"),
        (IMAGES, ALPHABETS, "abc", TypeError, "`names`"),
        (IMAGES, ALPHABETS, [1, 2, 3], TypeError, "`names`"),
    ],
)
def test_bad_input_is_refused_by_name(images, alphabets, names, error, message):
    with pytest.raises(error, match=message):
        CharacterBank(images, alphabets, names)
