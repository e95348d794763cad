"""The learner on a pretrained backbone that a configuration asks for."""

import sys
from pathlib import Path
from typing import Any

import keras

from warptf import models
from warptf.models.image_preprocessing import preprocessing_of

from ...engine.flag_names import naming_flags
from .backbone_options import is_file
from .config import FewShotConfig


def backbone_model(
    config: FewShotConfig, image_shape: tuple[int, int, int], ways: int
) -> keras.Model:
    """Returns the learner on its backbone, untrained.

    Args:
        config: A valid configuration with `--learner backbone`.
        image_shape: `(height, width, channels)` of the images.
        ways: Classes of a task, at most.

    Raises:
        OSError: If weights cannot be downloaded, or a file cannot be read.
        ValueError: If the backbone does not fit.
    """
    name: Any = config.backbone
    backbone = _from_file(name) if is_file(name) else _application(config, image_shape)
    preprocessing = config.backbone_preprocessing
    if preprocessing is None:
        preprocessing = "none" if is_file(name) else preprocessing_of(name)
    options: Any = dict(adapt=config.adapt, adapter=config.adapter)
    words = dict(preprocessing="backbone_preprocessing", input_shape="image_size")
    try:
        with naming_flags(config, **words):
            return models.backbone_learner(
                backbone,
                ways,
                input_shape=image_shape,
                preprocessing=preprocessing,
                warp=config.warped or config.meta_learner == "anil",
                train_last_block=config.train_last_block,
                distance=config.distance,
                scale=config.head_scale,
                seed=config.seed,
                **options,
            )
    except (TypeError, ValueError) as error:
        raise ValueError(f"--backbone {name}: {error}") from error


def _from_file(path: str) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ValueError(
            f"--backbone {path}: cannot be loaded by keras.models.load_model "
            f"({type(error).__name__}: {error}); save it as a .keras file of Keras' own layers"
        ) from error


def _application(config: FewShotConfig, image_shape: tuple[int, int, int]) -> keras.Model:
    name: Any = config.backbone
    weights = config.backbone_weights or "imagenet"
    make = applications()[name]
    given = dict(input_shape=image_shape, include_top=False)
    try:
        if weights in ("imagenet", "none"):
            return make(weights=None if weights == "none" else weights, **given)
        if not Path(weights).is_file():
            raise FileNotFoundError(
                f"--backbone-weights {weights}: is not there; give imagenet, none or a file"
            )
        backbone = make(weights=None, **given)
        backbone.load_weights(weights)
        return backbone
    except FileNotFoundError:
        raise
    except Exception as error:
        if weights == "imagenet" and "URL fetch failure" in str(error):
            raise OSError(
                f"--backbone {name}: its ImageNet weights cannot be downloaded "
                f"({' '.join(str(error).split())}); give a file with --backbone-weights FILE, or "
                "--backbone-weights none for random ones"
            ) from error
        raise ValueError(f"--backbone {name} --backbone-weights {weights}: {error}") from error


def report(line: str) -> None:
    """Prints a line of progress.

    Args:
        line: The line.
    """
    print(line, file=sys.stderr)


def applications() -> dict[str, Any]:
    """Returns the models of `keras.applications` by their names."""
    found = vars(keras.applications).items()
    return {name: make for name, make in found if callable(make) and name[:1].isupper()}


def check_backbone_name(backbone: str) -> None:
    """Checks that a backbone is there, before anything is read.

    Args:
        backbone: a file, or the name of a model of `keras.applications`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such model.
    """
    if is_file(backbone):
        if not Path(backbone).is_file():
            raise FileNotFoundError(
                f"--backbone {backbone}: is not there; give a .keras file, or the name of a model "
                "of keras.applications"
            )
    elif backbone not in applications():
        raise ValueError(
            f"--backbone {backbone}: is neither a .keras file nor a model of keras.applications: "
            f"{', '.join(sorted(applications()))}"
        )
