"""Keras' backend, which must be TensorFlow, checked before Keras is imported."""

import json
import os
import sys
from pathlib import Path


def configured_backend() -> str:
    """Returns the name of the backend that Keras has, or will have once it is imported."""
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is not None:
        return config.backend()
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = Path.home()
    folder = os.environ.get("KERAS_HOME") or (home if os.access(home, os.W_OK) else "/tmp")
    where = Path(folder) if "KERAS_HOME" in os.environ else Path(folder, ".keras")
    try:
        return str(json.loads((where / "keras.json").read_text()).get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def check_backend() -> None:
    """Checks that Keras runs on TensorFlow.

    Raises:
        ImportError: it runs on something else.
    """
    backend = configured_backend()
    if backend != "tensorflow":
        raise ImportError(
            f"warptf needs Keras on TensorFlow, and Keras' backend is {backend!r}: set the "
            "environment variable KERAS_BACKEND=tensorflow before Keras is imported, or "
            '"backend": "tensorflow" in ~/.keras/keras.json.',
            name="warptf",
        )


check_backend()
