"""Meta-learners as files: saved whole, checked, and loaded with errors that say what to do."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

from .whole_files import written_whole


def save_learner(learner: Any, path: Path) -> None:
    """Writes a learner, with its optimizers and its position, as one `.keras` file.

    Args:
        learner: The `keras.Model` to save.
        path: The file.

    Raises:
        OSError: If it cannot be written.
    """
    with written_whole(path) as aside:
        learner.save(aside)


def is_intact(path: Path) -> bool:
    """Returns whether a `.keras` file is there and holds all that was written, to the last bit.

    Args:
        path: The file.
    """
    # The directory of a zip file is at its end, and it has a checksum for each of its members.
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError):
        return False


def load_learner(path: Path, remedy: str) -> Any:
    """Returns the learner of a `.keras` file.

    Args:
        path: The file.
        remedy: What to do where it is missing or damaged.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is damaged, or of a version that cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: is not there; {remedy}")
    if not is_intact(path):
        raise ValueError(f"{path}: is damaged, truncated perhaps; {remedy}")
    # Not at the top: what runs have reported is read without TensorFlow.
    import keras

    try:
        return keras.models.load_model(path)
    except Exception as error:
        said = " ".join(str(error).split())
        raise ValueError(
            f"{path}: cannot be loaded ({type(error).__name__}: {said}); use the version of warptf "
            f"that wrote it, or {remedy}"
        ) from error
