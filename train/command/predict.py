"""From a finished run to answers: adapt to a folder of classes, predict a folder of images."""

import csv
import io
import sys
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from warptf.models.backbone_learner import backbone_parts, is_backbone_learner
from warptf.tasks import image_folder_bank, images_bank

from ..engine.flag_names import naming_flags
from ..engine.whole_files import write_text
from ..experiments.few_shot.config import FewShotConfig
from ..experiments.few_shot.learner import learner_for_ways
from .contact_sheet import write_contact_sheet

_BATCH, _CHUNK = 32, 512


class Predictions(NamedTuple):
    """What was predicted.

    Attributes:
        files: names of the images, `N`.
        images: the images, `[N, height, width, channels]`, `uint8`.
        classes: names of the classes, `C`.
        probabilities: `[N, C]`.
    """

    files: list[str]
    images: np.ndarray
    classes: tuple[str, ...]
    probabilities: np.ndarray


def predict(
    learner: Any,
    config: FewShotConfig,
    support: Path,
    images: Path,
    steps: int | None,
    max_pixels: int | None = None,
) -> Predictions:
    """Adapts a run's learner to the classes of a folder, and predicts the images of another.

    Args:
        learner: The learner, as loaded from the run's `model.keras`.
        config: The configuration of its run.
        support: A folder with a folder of images for each class; two suffice.
        images: A folder of images.
        steps: Adaptation steps; those of the run's test tasks if `None`.
        max_pixels: Images of more pixels are refused; those of the run if `None`.

    Returns:
        The predictions, in the order of the names of the images.

    Raises:
        FileNotFoundError: If a folder is not there.
        ValueError: If the run has no learner of photographs, or images cannot be read.
    """
    if config.source.characters:
        raise ValueError(
            f"RUN_DIR: its learner learns characters (--data {config.data}), and predict takes "
            "photographs; give a run with --data folder or another of photographs"
        )
    height, width, channels = learner.model.input_shape[1:]
    form: dict[str, Any] = dict(image_size=(height, width), channels=channels, progress=_report)
    form["max_pixels"] = config.max_pixels if max_pixels is None else max_pixels
    most = form["max_pixels"]
    given = {"support": support, "images": images, "max_pixels": most, "steps": steps}
    with naming_flags(given, directory="support"):
        known = image_folder_bank(support, **form)
    with naming_flags(given, directory="images"):
        asked, files = images_bank(images, **form)
    learner, features = _parts(learner, len(known.names))
    x, queries = (_features(features, bank.images) for bank in (known, asked))
    size = config.batch_size
    drawn = size if size is not None and size < len(x) else None
    with naming_flags(given):
        adapted = learner.adapt(x, known.labels, steps, drawn)
    logits = adapted.predict(queries, batch_size=_BATCH, verbose=0)[:, : len(known.names)]
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits.astype("float64")))
    return Predictions(files, asked.images, known.names, probabilities)


def _parts(learner: Any, ways: int) -> tuple[Any, keras.Model | None]:
    """Returns the learner for so many classes, and the frozen backbone before it, if there is one.

    The backbone's features are then computed once, and not at every step.
    """
    model, features = learner.model, None
    if is_backbone_learner(model):
        features, model = backbone_parts(model)
    try:
        return learner_for_ways(learner, model, ways), features
    except ValueError as error:
        raise ValueError(
            f"--support: has {ways} classes, and the run's learner tells "
            f"{model.output_shape[-1]} apart; give fewer, or train with --head class-means"
        ) from error


def _features(features: keras.Model | None, images: np.ndarray) -> np.ndarray:
    """Returns what the learner takes of images `[N, height, width, channels]`, `uint8`."""
    parts = []
    for begin in range(0, len(images), _CHUNK):
        x = np.asarray(images[begin : begin + _CHUNK]).astype("float32") / 255.0
        parts.append(x if features is None else features.predict(x, _BATCH, verbose=0))
    return np.concatenate(parts)


def write_predictions(predictions: Predictions, out: Path) -> None:
    """Writes a line for each image: its class, the confidence, and the probability of each class.

    Args:
        predictions: What was predicted.
        out: The CSV file, written whole or not at all.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "prediction", "confidence", *predictions.classes])
    for file, row in zip(predictions.files, predictions.probabilities, strict=True):
        best = int(row.argmax())
        numbers = [f"{value:.4f}" for value in (row[best], *row)]
        table.writerow([file, predictions.classes[best], *numbers])
    write_text(out, text.getvalue())


def write_sheet(predictions: Predictions, path: Path) -> None:
    """Draws the images with their classes and confidences.

    Args:
        predictions: What was predicted.
        path: The image file.
    """
    best = predictions.probabilities.argmax(-1)
    names = [predictions.classes[number] for number in best]
    write_contact_sheet(predictions.images, names, predictions.probabilities.max(-1), path)


def _report(line: str) -> None:
    print(line, file=sys.stderr)
