"""Images of characters, each character a class."""

from pathlib import Path

from warptf import tasks
from warptf.tasks import ImageBank


def character_images(data: str, data_dir: Path | None) -> ImageBank:
    """Returns the characters of a data set as classes, their names beginning with the alphabet's.

    Args:
        data: "glyphs" or "omniglot".
        data_dir: The folder that holds prepared data sets, or `None` for the default.

    Raises:
        FileNotFoundError: If Omniglot is neither prepared nor to be had.
    """
    if data == "omniglot":
        return tasks.omniglot_characters(data_dir)
    # Turned, some glyphs look like themselves and would be the same class twice.
    return tasks.character_classes(tasks.glyph_bank(data_dir), rotations=False)
