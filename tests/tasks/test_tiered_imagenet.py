import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tasks.photographs import unpack_photographs

from warptf.tasks import FewShot, tiered_imagenet_bank

PARTS = {
    "train": {"n01530575": "n01524359", "n01531178": "n01524359", "n01675722": "n01674216"},
    "val": {"n02099267": "n02098550", "n02099429": "n02098550"},
    "test": {"n03314780": "n00020090", "n07565083": "n00020090"},
}
SYNSETS = [synset for rows in PARTS.values() for synset in rows]


@pytest.fixture
def layout(tmp_path):
    """Photographs as ILSVRC-12 has them: a folder for each synset, files of any size."""
    classes = ["accordion", "crab", "lamp", "lotus", "barrel", "bonsai", "anchor"]
    found = unpack_photographs(tmp_path / "by class", classes, 3)
    for synset, files in zip(SYNSETS, found.values(), strict=True):
        (tmp_path / "train" / synset).mkdir(parents=True)
        for number, file in enumerate(files):
            image = Image.open(file).resize((100 + number, 90))
            image.save(tmp_path / "train" / synset / f"{synset}_{number}.JPEG", quality=100)
    (tmp_path / "train" / "n99999999").mkdir()
    (tmp_path / "lists").mkdir()
    for part, rows in PARTS.items():
        lines = [f"{synset},{parent}\r\n" for synset, parent in rows.items()]
        (tmp_path / "lists" / f"{part}.csv").write_bytes("".join(lines).encode())
    return tmp_path


def read(layout, **arguments):
    return tiered_imagenet_bank(
        layout / "train", layout / "lists", cache_dir=layout / "cache", **arguments
    )


def test_lists_give_the_classes_and_the_split(layout):
    bank, split = read(layout, image_size=40)
    assert bank.images.shape == (21, 40, 40, 3)
    assert bank.names == tuple(SYNSETS) and set(bank.class_sizes.values()) == {3}
    assert [list(names) for names in split.parts.values()] == [
        list(rows) for rows in PARTS.values()
    ]
    for image, label in zip(bank.images[::3], bank.labels[::3], strict=True):
        file = layout / "train" / SYNSETS[label] / f"{SYNSETS[label]}_0.JPEG"
        small = Image.open(file).resize((40, 40), Image.Resampling.BILINEAR)
        assert np.abs(image.astype(int) - np.asarray(small)).mean() < 1.5


def test_multi_shot_tasks_can_be_made(layout):
    tasks = FewShot(
        *read(layout, image_size=12), ways=2, shots=2, queries=1, steps=3, batch_size=4,
        evaluation_steps=5, evaluation_tasks=2, evaluation_tasks_per_batch=1,
    )  # fmt: skip
    assert next(iter(tasks.train)).support[0].shape == (4, 3, 4, 12, 12, 3)
    assert next(iter(tasks.test)).support[0].shape == (1, 5, 4, 12, 12, 3)


def test_missing_class_folders_are_named(layout):
    for synset in SYNSETS[1:3]:
        shutil.rmtree(layout / "train" / synset)
    with pytest.raises(FileNotFoundError) as caught:
        read(layout)
    message = str(caught.value)
    assert "2 of the 7 class folders" in message and repr(SYNSETS[1]) in message
    assert "ILSVRC2012_img_train.tar" in message
    (layout / "train" / SYNSETS[1]).mkdir()
    (layout / "train" / SYNSETS[2]).mkdir()
    with pytest.raises(ValueError, match=f"without an image.*'{SYNSETS[1]}', '{SYNSETS[2]}'"):
        read(layout)


def test_what_is_missing_says_where_to_get_it(layout):
    with pytest.raises(FileNotFoundError, match="`ilsvrc_train_dir`.*none.*image-net.org"):
        tiered_imagenet_bank(layout / "none", layout / "lists")
    with pytest.raises(FileNotFoundError, match="`lists_dir`.*renmengye/few-shot-ssl-public"):
        tiered_imagenet_bank(layout / "train", layout / "none")
    (layout / "lists" / "val.csv").unlink()
    with pytest.raises(FileNotFoundError, match="`lists_dir`: '.*val.csv' missing.*renmengye"):
        read(layout)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "test.csv.*two columns"),
        ("n03314780\n", "test.csv.*two columns, wrong is row 1"),
        ("n03314780,n00020090\nn1,\n", "test.csv.*row 2"),
        ("n03314780,n01674216\n", "parents 'n01674216' are in the lists of train and test"),
        ("n01530575,n00020090\n", "`train` and `test` share 'n01530575'"),
    ],
)
def test_malformed_lists_are_refused_by_name(layout, content, message):
    (layout / "lists" / "test.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read(layout)


def test_a_size_is_needed(layout):
    with pytest.raises(ValueError, match="`image_size` must be given"):
        read(layout, image_size=None)


def test_the_published_lists_ask_for_all_of_their_classes(tmp_path):
    lists = Path(os.environ.get("WARPTF_DATA_DIR", "")) / "splits" / "tieredimagenet"
    if not lists.is_dir():
        pytest.skip("WARPTF_DATA_DIR names no folder with `splits/tieredimagenet`")
    with pytest.raises(FileNotFoundError, match="608 of the 608 class folders"):
        tiered_imagenet_bank(tmp_path, lists)
