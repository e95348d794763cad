"""Folders of images, lists of classes and backbones, good and bad, as users have them."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

PARTS = ("train", "val", "test")


def images(folder: Path, names: str = "abcdef", count: int = 6, side: int = 16) -> None:
    """Writes a folder of images for each name."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full([side, side, 3], number, "uint8")
            tf.io.write_file(str(folder / name / f"{number}.png"), tf.io.encode_png(pixels))


def lists(folder: Path, **parts: Any) -> None:
    """Writes a list for each part: as JSON, or a text as it is."""
    folder.mkdir()
    for name, content in parts.items():
        is_text = isinstance(content, str)
        path = folder / f"{name}.{'csv' if is_text else 'json'}"
        path.write_text(content if is_text else json.dumps(content))


def good_images(root: Path) -> None:
    images(root / "images")


def two_classes(root: Path) -> None:
    images(root / "images", "ab")


def one_class(root: Path) -> None:
    images(root / "images", "a")


def empty_class(root: Path) -> None:
    images(root / "images")
    (root / "images" / "g").mkdir()


def damaged_image(root: Path) -> None:
    images(root / "images")
    (root / "images" / "a" / "bad.png").write_bytes(b"no image")


def other_size(root: Path) -> None:
    images(root / "images", "abcde")
    images(root / "images", "f", side=20)


def few_images(root: Path) -> None:
    images(root / "images", count=3)


def no_lists(root: Path) -> None:
    images(root / "images")
    (root / "lists").mkdir()


def unknown_class(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "b"], val=["c", "d"], test=["e", "zebra"])


def shared_class(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "b"], val=["c", "d"], test=["e", "a"])


def repeated_class(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "a"], val=["c", "d"], test=["e", "f"])


def empty_list(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train=["a", "b"], val=[], test=["e", "f"])


def no_list(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train={"a": 1}, val=["c"], test=["e", "f"])


def other_columns(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", **dict.fromkeys(PARTS, "image;class\n1;a\n"))


def short_row(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", **dict.fromkeys(PARTS, "filename,label\n1.png\n"))


def missing_image(root: Path) -> None:
    images(root / "images")
    rows = {part: f"filename,label\n{n}.png,c{n}\n" for n, part in enumerate(PARTS, 4)}
    lists(root / "lists", **rows)


def repeated_class_in_rows(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", **dict.fromkeys(PARTS, "filename,label\n1.png,c\n"))


def missing_folder(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train="a,p\nz,p\n", val="b,q\n", test="c,r\n")


def shared_parent(root: Path) -> None:
    images(root / "images")
    lists(root / "lists", train="a,p\n", val="b,p\n", test="c,r\n")


def _backbone(root: Path, *layers: keras.layers.Layer, channels: int = 3) -> None:
    images(root / "images")
    model = keras.Sequential([keras.Input((None, None, channels)), *layers])
    model.save(root / "images" / "backbone.keras")


def damaged_backbone(root: Path) -> None:
    images(root / "images")
    (root / "images" / "backbone.keras").write_bytes(b"no model")


def gray_backbone(root: Path) -> None:
    _backbone(root, keras.layers.Conv2D(2, 3), channels=1)


def shallow_backbone(root: Path) -> None:
    _backbone(root, keras.layers.Conv2D(2, 3))
