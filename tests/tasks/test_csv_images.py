import numpy as np
import pytest
from PIL import Image
from tasks.photographs import unpack_photographs

from warptf.tasks import FewShot, csv_images_bank

PARTS = {"train": ["accordion", "crab"], "val": ["lamp", "lotus"], "test": ["barrel", "bonsai"]}


@pytest.fixture
def layout(tmp_path):
    """Photographs as miniImageNet has them: one folder, three lists; files by class and number."""
    classes = [name for names in PARTS.values() for name in names]
    found = unpack_photographs(tmp_path / "by class", classes, 5)
    (tmp_path / "images").mkdir()
    for part, names in PARTS.items():
        rows = ["filename,label"]
        for name in names:
            for file in found[name]:
                file.rename(tmp_path / "images" / f"{name}{file.name}")
                rows.append(f"{name}{file.name},{name}")
        (tmp_path / f"{part}.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def read(layout, **arguments):
    return csv_images_bank(
        layout / "images", layout, cache_dir=layout / "cache", **arguments
    )  # fmt: skip


def test_lists_give_the_classes_and_the_split(layout):
    bank, split = read(layout)
    assert bank.images.shape == (30, 84, 84, 3)
    assert bank.class_sizes == {name: 5 for names in PARTS.values() for name in names}
    assert [list(names) for names in split.parts.values()] == list(PARTS.values())
    for image, label in zip(bank.images[::5], bank.labels[::5], strict=True):
        files = sorted((layout / "images").glob(f"{bank.names[label]}*"))
        assert np.abs(np.asarray(Image.open(files[0]), int) - image).mean() < 1.0


def test_few_shot_tasks_can_be_made(layout):
    tasks = FewShot(*read(layout, image_size=20), ways=2, queries=2, evaluation_tasks=3)
    assert next(iter(tasks.test)).query[0].shape == (3, 4, 20, 20, 3)


def test_lists_may_have_names_of_their_own(layout):
    paths = {"train": "train", "validation": "val", "test": "test"}
    mapping = {part: layout / f"{stem}.csv" for part, stem in paths.items()}
    bank, split = csv_images_bank(layout / "images", mapping, cache_dir=layout / "cache")
    assert split == read(layout)[1]
    with pytest.raises(ValueError, match="`csv_files`.*validation.*'train'"):
        csv_images_bank(layout / "images", {"train": layout / "train.csv"})


def test_missing_images_are_named(layout):
    for file in sorted((layout / "images").glob("*"))[:7]:
        file.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        read(layout)
    message = str(caught.value)
    assert "7 of the 30 listed images" in message and "and 2 more" in message
    assert "'accordionimage_0001.jpg'" in message and "meta-learning-lstm" in message


def test_what_is_missing_says_where_to_get_it(layout):
    for arguments in (
        (layout / "none", layout),
        (layout / "images", layout / "none"),
        (layout / "images", layout / "images"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            csv_images_bank(*arguments)
        message = str(caught.value)
        assert "twitter-research/meta-learning-lstm" in message and "ILSVRC-12" in message
        assert "filename,label" in message
    (layout / "val.csv").unlink()
    with pytest.raises(FileNotFoundError, match="`csv_files`: '.*val.csv' missing"):
        read(layout)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "test.csv.*filename,label"),
        ("a.jpg,b\n", "test.csv.*must be 'filename,label', received 'a.jpg,b'"),
        ("filename,label\na.jpg\n", "test.csv.*two columns in row 2"),
        ("filename,label\na.jpg,\n", "test.csv.*two columns in row 2"),
        ("filename,label\n", "`test` has no class"),
        ("filename,label\na.jpg,b\na.jpg,c\n", "`csv_files`: 'a.jpg' more than once"),
        ("filename,label\na.jpg,crab\n", "`train` and `test` share 'crab'"),
    ],
)
def test_malformed_lists_are_refused_by_name(layout, content, message):
    (layout / "test.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read(layout)


def test_corrupt_images_are_named(layout):
    (layout / "images" / "crabimage_0002.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="1 of the images.*'crabimage_0002.jpg'"):
        read(layout)
