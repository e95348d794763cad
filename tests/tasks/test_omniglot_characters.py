import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from warptf.tasks import (
    ClassSplit,
    FewShot,
    ImageBank,
    alphabet_split,
    omniglot_characters,
)


@pytest.fixture(scope="session")
def characters(prepared_omniglot):
    return omniglot_characters(prepared_omniglot, rotations=False, download=False)


@pytest.fixture(scope="session")
def turned(prepared_omniglot, characters):
    return omniglot_characters(prepared_omniglot, download=False)


@pytest.fixture
def vinyals():
    folder = Path(os.environ.get("WARPTF_DATA_DIR", "")) / "splits" / "omniglot_vinyals"
    if not folder.is_dir():
        pytest.skip("WARPTF_DATA_DIR names no folder with `splits/omniglot_vinyals`")
    return folder


@pytest.mark.slow
def test_counts_are_those_of_omniglot(characters, turned):
    assert characters.images.shape == (32460, 28, 28, 1)
    assert turned.images.shape == (129840, 28, 28, 1)
    assert (len(characters.names), len(turned.names)) == (1623, 6492)
    for bank in (characters, turned):
        assert set(bank.class_sizes.values()) == {20}
        assert list(bank.names) == sorted(bank.names)


@pytest.mark.parametrize(
    ("archive", "alphabet", "number"),
    [
        ("images_background.zip", "Japanese_(katakana)", 1),
        ("images_background.zip", "Japanese_(katakana)", 47),
        ("images_background.zip", "Alphabet_of_the_Magi", 7),
        ("images_evaluation.zip", "Malayalam", 23),
        ("images_evaluation.zip", "Angelic", 20),
    ],
)
def test_names_are_the_folders_of_the_archives(
    characters, omniglot_archives, archive, alphabet, number
):
    folder = f"{archive.removesuffix('.zip')}/{alphabet}/character{number:02d}/"
    with zipfile.ZipFile(omniglot_archives / archive) as content:
        entries = [name for name in content.namelist() if name.startswith(folder)]
        images = [Image.open(io.BytesIO(content.read(n))) for n in entries if n.endswith(".png")]
    assert len(images) == 20
    label = characters.names.index(f"{alphabet}/character{number:02d}")
    drawings = characters.images[characters.labels == label][..., 0].astype("float32")
    for image in images:
        pixels = np.asarray(image, "float32")
        ink = Image.fromarray(255 * (1 - pixels / pixels.max()))
        small = np.asarray(ink.resize((28, 28), Image.Resampling.BILINEAR))
        distances = np.sort(np.abs(drawings - small).mean(axis=(1, 2)))
        assert distances[0] < 1.0 < distances[1]


def test_quarter_turns_are_counter_clockwise(characters, turned):
    for name in ("Greek/character01", "Tifinagh/character55"):
        upright = characters.images[characters.labels == characters.names.index(name)]
        for angle in (0, 90, 180, 270):
            label = turned.names.index(f"{name}/rot{angle:03d}")
            for drawing, one in zip(turned.images[turned.labels == label], upright, strict=True):
                by_hand = np.asarray(Image.fromarray(one[..., 0]).rotate(angle))
                np.testing.assert_array_equal(drawing[..., 0], by_hand)


def test_the_published_split_names_all_of_the_classes(characters, turned, vinyals):
    split = ClassSplit.from_directory(vinyals)
    split.check(turned)
    assert sorted(name for part in split.parts.values() for name in part) == list(turned.names)
    assert [len(part) for part in split.parts.values()] == [4 * n for n in (1028, 172, 423)]
    with pytest.raises(ValueError, match="`train`.*rot000.*not among the 1623 classes"):
        split.check(characters)


def test_torchmeta_s_split_is_the_same_for_characters(characters, turned, vinyals):
    split = ClassSplit.from_directory(vinyals.parent / "omniglot_torchmeta")
    split.check(characters)
    in_turns = split.expanded(turned)
    for part, names in ClassSplit.from_directory(vinyals).parts.items():
        assert set(in_turns.parts[part]) == set(names)


def test_few_shot_tasks_can_be_made(turned, vinyals):
    tasks = FewShot(turned, ClassSplit.from_directory(vinyals), ways=20, shots=1, queries=15)
    task = next(iter(tasks.test))
    assert task.support[0].shape == (5, 20, 28, 28, 1)
    assert task.query[0].shape == (5, 300, 28, 28, 1)


def test_splits_by_alphabet_share_no_alphabet(turned):
    split = alphabet_split(turned, validation=7, test=12, seed=5)
    alphabets = {p: {n.split("/")[0] for n in names} for p, names in split.parts.items()}
    assert {part: len(some) for part, some in alphabets.items()} == {
        "train": 31, "validation": 7, "test": 12
    }  # fmt: skip
    assert len(set().union(*alphabets.values())) == 50
    assert sum(len(names) for names in split.parts.values()) == 6492


def letters(alphabets):
    names = [f"{letter}/{i}" for letter in alphabets for i in range(3)]
    return ImageBank(np.zeros([len(names), 1, 1, 1], "uint8"), range(len(names)), names)


def test_test_alphabets_depend_on_the_seed_and_their_number_alone():
    bank = letters("abcdefgh")
    tests = [alphabet_split(bank, validation=n, test=2, seed=3).test for n in (1, 2, 4)]
    assert tests[0] == tests[1] == tests[2]
    assert len({alphabet_split(bank, 1, 2, seed).test for seed in range(20)}) > 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation": 0}, "`validation`.*at least 1.*0"),
        ({"test": 0}, "`test`.*at least 1.*0"),
        ({"validation": 2, "test": 2}, r"`validation` \(2\) and `test` \(2\).*4 alphabets"),
        ({"validation": 1, "test": 1, "seed": -1}, "`seed`.*-1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        alphabet_split(letters("abcd"), **arguments)


def test_a_data_set_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="warptf data prepare omniglot"):
        omniglot_characters(tmp_path, download=False)
