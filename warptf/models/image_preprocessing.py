"""What images in [0, 1] are made into, for backbones that were trained on something else."""

from typing import Any, get_args

import keras

from warptf.literals import Preprocessing

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_APPLICATIONS: dict[str, Preprocessing] = {
    "ConvNeXt": "0-255",
    "DenseNet": "imagenet",
    "EfficientNet": "0-255",
    "InceptionResNetV2": "tf",
    "InceptionV3": "tf",
    "MobileNet": "tf",
    "MobileNetV2": "tf",
    "MobileNetV3": "0-255",
    "NASNet": "tf",
    "ResNet": "caffe",
    "ResNet101V2": "tf",
    "ResNet152V2": "tf",
    "ResNet50V2": "tf",
    "VGG": "caffe",
    "Xception": "tf",
}


def preprocessed(images: Any, preprocessing: Preprocessing) -> Any:
    """Returns what images in [0, 1] are for a backbone, by layers that are saved with a model.

    Args:
        images: a Keras tensor `[B, height, width, channels]`, RGB where there are three.
        preprocessing: `"none"`, as they are; `"imagenet"`, minus ImageNet's mean and divided by its
            deviation, as PyTorch's models and DenseNet take; `"tf"`, in [-1, 1]; `"caffe"`, BGR in
            [0, 255] minus the mean; `"0-255"`, as EfficientNet and MobileNetV3 take, which have the
            rest in them.

    Raises:
        ValueError: it is none of these, or asks for three channels that are not there.
    """
    if preprocessing not in get_args(Preprocessing):
        raise ValueError(
            f"preprocessing must be one of {get_args(Preprocessing)}, got {preprocessing!r}."
        )
    if preprocessing in ("imagenet", "caffe") and images.shape[-1] != 3:
        raise ValueError(
            f"`preprocessing` ({preprocessing}) is for images of three channels, got "
            f"{images.shape[-1]}: give none."
        )
    if preprocessing == "none":
        return images
    if preprocessing == "caffe":
        images = keras.ops.flip(images, axis=-1)
    scale: Any = {"tf": 2.0, "caffe": 255.0, "0-255": 255.0}.get(preprocessing)
    offset: Any = {"tf": -1.0, "caffe": [-m for m in _CAFFE_MEAN]}.get(preprocessing, 0.0)
    if preprocessing == "imagenet":
        scale = [1.0 / d for d in _DEVIATION]
        offset = [-m / d for m, d in zip(_MEAN, _DEVIATION, strict=True)]
    return keras.layers.Rescaling(scale, offset, name="preprocessing")(images)


def preprocessing_of(application: str) -> Preprocessing:
    """Returns what a model of `keras.applications` was trained with.

    Args:
        application: its name, such as `"MobileNetV3Small"`.

    >>> preprocessing_of("ResNet50"), preprocessing_of("ResNet50V2")
    ('caffe', 'tf')
    """
    names = sorted((n for n in _APPLICATIONS if application.startswith(n)), key=len)
    return _APPLICATIONS[names[-1]] if names else "none"
