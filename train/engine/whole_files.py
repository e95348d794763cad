"""Files that are written whole or not at all, and read with errors that say what to do."""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives where to write a file, and moves it into place once it is on the disk.

    Args:
        path: The file.

    Yields:
        The path to write to.

    Raises:
        OSError: If it cannot be written; nothing of it is left then.
    """
    aside = aside_of(path)
    try:
        yield aside
        with aside.open("rb") as file:
            # A name that outlives a power failure must not stand for content that does not.
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Returns where a file is written before it is moved into place.

    Args:
        path: The file.
    """
    return path.with_name("writing-" + path.name)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Args:
        path: The file.
        text: Its content.
    """
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all.

    Args:
        path: The file.
        value: What to write.
    """
    write_text(path, json.dumps(as_json(value), indent=2, allow_nan=False) + "\n")


def read_text(path: Path) -> str:
    """Returns the content of a text file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If it cannot be read.
        ValueError: If it is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: is not there; restore the file") from error
    except OSError as error:
        text = f"{path}: cannot be read ({error.strerror}); make it a file that can be read"
        raise OSError(text) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is damaged, for it is not text; restore the file") from error


def read_json(path: Path, remedy: str = "restore the file") -> dict[str, Any]:
    """Returns the content of a JSON file, an object.

    Args:
        path: The file.
        remedy: What to do where it is damaged.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not a JSON object.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except ValueError as error:
        found = error if text.strip() else "it is empty"
        raise ValueError(f"{path}: is not JSON ({found}); {remedy}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: is damaged, for it holds no JSON object; {remedy}")
    return value


def as_json(value: Any) -> Any:
    """Returns a value with `None` for numbers that JSON cannot hold, such as a diverged loss.

    Args:
        value: The value.

    >>> as_json({"loss": [1.0, math.nan]})
    {'loss': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unwritable(path: Path, error: OSError) -> OSError:
    """Returns the error to raise where a file or folder cannot be written.

    Args:
        path: The file or folder.
        error: What the system says.
    """
    if path.name in str(error) and error.errno is None:
        # It says all already.
        return error
    reason = error.strerror or " ".join(str(error).split())
    return type(error)(
        f"{path}: cannot be written ({reason}); free space or choose a folder that can be written, "
        f"then begin again (a run goes on with --resume)"
    )
