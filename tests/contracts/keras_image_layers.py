"""Every layer of images that Keras exports, in settings that take other paths."""

import inspect
from typing import Any

import keras
from contracts.keras_row import EXACT, FLAT, REFUSED, Row
from keras import layers

COLOURS = (8, 8, 3)


def image_rows() -> dict[str, Row]:
    """The settings by name: the layer's, with the setting in parentheses."""
    return {**_resizes(), **_augmentations()}


def _image(
    cls: Any, outcome: str = EXACT, single: bool = False, slow: bool = False, **settings: Any
) -> Row:
    """An augmentation of images with values in [0, 1]."""
    accepted = inspect.signature(cls.__init__).parameters
    given = {"value_range": (0.0, 1.0), "seed": 1}
    settings |= {name: value for name, value in given.items() if name in accepted}
    return Row(
        lambda: cls(**settings), COLOURS, outcome=outcome, unit=True, single=single, slow=slow
    )


def _resizes() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for method in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        found[f"UpSampling2D ({method})"] = Row(
            lambda m=method: layers.UpSampling2D(2, interpolation=m), (4, 4, 2), single=True
        )
        found[f"Resizing ({method})"] = Row(
            lambda m=method: layers.Resizing(5, 7, interpolation=m), (4, 4, 2), single=True
        )
    found["Resizing (area)"] = Row(lambda: layers.Resizing(3, 2, "area"), (4, 4, 2), single=True)
    found["Resizing (antialias)"] = Row(
        lambda: layers.Resizing(3, 2, antialias=True), (4, 4, 2), single=True
    )
    found["Resizing (crop_to_aspect_ratio)"] = Row(
        lambda: layers.Resizing(3, 6, crop_to_aspect_ratio=True), (4, 4, 2), single=True
    )
    found["Resizing (pad_to_aspect_ratio)"] = Row(
        lambda: layers.Resizing(3, 6, pad_to_aspect_ratio=True), (4, 4, 2), single=True
    )
    found["UpSampling2D (bilinear, channels_first)"] = Row(
        lambda: layers.UpSampling2D(2, data_format="channels_first", interpolation="bilinear"),
        (2, 4, 4),
        single=True,
    )
    found["CenterCrop"] = Row(lambda: layers.CenterCrop(2, 2), (4, 4, 2), single=True)
    found["CenterCrop (enlarging)"] = Row(lambda: layers.CenterCrop(6, 5), (4, 4, 2), single=True)
    found["RandomCrop"] = Row(lambda: layers.RandomCrop(2, 2, seed=1), (4, 4, 2), single=True)
    found["RandomCrop (enlarging)"] = Row(
        lambda: layers.RandomCrop(6, 5, seed=1), (4, 4, 2), single=True
    )
    return found


def _augmentations() -> dict[str, Row]:
    jitter = {f"{k}_factor": 0.4 for k in ("brightness", "contrast", "saturation", "hue")}
    found = {
        "AugMix": _image(layers.AugMix, REFUSED, True, True),
        "AutoContrast": _image(layers.AutoContrast),
        "ContrastLimitedAdaptiveHistogramEqualization": _image(
            layers.ContrastLimitedAdaptiveHistogramEqualization, FLAT, tile_grid_size=(2, 2)
        ),
        "CutMix": Row(lambda: layers.CutMix(seed=1), COLOURS, _with_labels, unit=True),
        "Equalization": _image(layers.Equalization, FLAT),
        "MixUp": Row(lambda: layers.MixUp(seed=1), COLOURS, _with_labels, unit=True),
        "RandAugment": _image(layers.RandAugment, REFUSED, True, True),
        "RandomBrightness": _image(layers.RandomBrightness, factor=0.3),
        "RandomColorDegeneration": _image(layers.RandomColorDegeneration, factor=0.5),
        "RandomColorJitter": _image(layers.RandomColorJitter, REFUSED, **jitter),
        "RandomContrast": _image(layers.RandomContrast, factor=0.3),
        "RandomElasticTransform": _image(layers.RandomElasticTransform, slow=True),
        "RandomErasing": _image(layers.RandomErasing),
        "RandomFlip": _image(layers.RandomFlip),
        "RandomGaussianBlur": _image(layers.RandomGaussianBlur),
        "RandomGrayscale": _image(layers.RandomGrayscale, factor=1.0),
        "RandomHue": _image(layers.RandomHue, REFUSED, factor=0.3),
        "RandomInvert": _image(layers.RandomInvert),
        "RandomPerspective": _image(layers.RandomPerspective, REFUSED),
        "RandomPosterization": _image(layers.RandomPosterization, FLAT, factor=4),
        "RandomRotation": _image(layers.RandomRotation, REFUSED, True, factor=0.2),
        "RandomSaturation": _image(layers.RandomSaturation, REFUSED, factor=0.4),
        "RandomSharpness": _image(layers.RandomSharpness, factor=0.4),
        "RandomShear": _image(layers.RandomShear, REFUSED, x_factor=0.3, y_factor=0.3),
        "RandomTranslation": _image(
            layers.RandomTranslation, REFUSED, height_factor=0.3, width_factor=0.3
        ),
        "RandomZoom": _image(layers.RandomZoom, REFUSED, height_factor=0.3),
        "Solarization": _image(layers.Solarization),
    }
    return found


def _with_labels(layer: Any, x: Any) -> Any:
    """Calls a layer that mixes images and their labels."""
    labels = keras.ops.one_hot(keras.ops.arange(4) % 3, 3, dtype=x.dtype)
    return layer({"images": x, "labels": labels})["images"]
