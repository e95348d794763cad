"""Images in folders: a folder for each class."""

import os
from collections.abc import Callable

from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_decoding import MAX_PIXELS
from warptf.tasks.image_files import bank_of_files, checked_format, existing_directory
from warptf.tasks.image_listing import images_of_classes, is_hidden
from warptf.tasks.names import normal_names
from warptf.tasks.wording import some_of


def image_folder_bank(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = 84,
    channels: int = 3,
    cache_dir: str | os.PathLike[str] | None = None,
    *,
    resize: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str], None] | None = None,
) -> ImageBank:
    """Read a folder of folders, each with the images of the class that it is named for.

    Images are known by their content, whatever their names end in, and are what a viewer shows; see
    `decode_image`. What else lies there, or deeper, is passed over: a warning, or a line to
    `progress`, names it, hidden files and those of systems (`Thumbs.db`) are only counted. Images
    are decoded once and kept, see `cache_dir`; they are decoded anew when a file's name, size or
    time of change is another one.

    Args:
        directory: The folder with the folders of classes.
        image_size: Side, or `(height, width)`, of the bank's images; the aspect of an image is not
            kept. `None` for the size of the files, which must be the same for all. Defaults to 84.
        channels: 3 for colour, 1 for grey; files of the other kind are converted, what is
            transparent is white. Defaults to 3.
        cache_dir: The folder that decoded images are kept in. Defaults to what the environment
            variable `WARPTF_CACHE_DIR` names, else to `~/.cache/warptf`.
        resize: Whether images of another size are resized, bilinearly and without aliasing,
            instead of being refused: by a triangle filter as wide as the reduction, half pixels
            aligned, of the values as they are stored. Defaults to `True`.
        max_pixels: Images of more pixels, as their header says, are refused before they are
            decoded. Defaults to 89 million.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The images, sorted by the names of classes and files.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are fewer than two classes, two folders differ in blanks or Unicode's
            form of letters only, a class has no image, or images are corrupt or of a wrong size;
            the error names them.

    >>> import os, tempfile, numpy as np, tensorflow as tf
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("cat", "dog"):
    ...     os.mkdir(os.path.join(folder, name))
    ...     image = tf.io.encode_png(np.zeros([100, 60, 3], "uint8"))
    ...     tf.io.write_file(os.path.join(folder, name, "1.png"), image)
    >>> image_folder_bank(folder, cache_dir=os.path.join(folder, ".cache"))
    ImageBank(2 classes, 2 images, 84x84x3)
    """
    form = checked_format(image_size, channels, resize)
    root = existing_directory("directory", directory, "name a folder with a folder for each class.")
    folders, others, hidden = _entries(root)
    if len(folders) < 2:
        raise ValueError(
            f"`directory`: {root!r} has {len(folders)} folders ({some_of(folders)}), and a "
            "classification needs two classes at least; name the folder above those of the classes."
        )
    names = normal_names("directory", folders)
    files, labels, empty = images_of_classes(root, folders, others, hidden, progress)
    if empty:
        raise ValueError(
            f"`directory`: folders without an image in {root!r}: {some_of(empty)}; add images "
            "(JPEG, PNG, WebP, ...) or remove them."
        )
    return bank_of_files(
        "folder", root, files, labels, names, form, cache_dir, progress, max_pixels
    )


def _entries(root: str) -> tuple[list[str], list[str], int]:
    """Folders of classes, what else is seen there, and the number of what is hidden."""
    entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    seen = [entry for entry in entries if not is_hidden(entry.name)]
    folders = [entry.name for entry in seen if entry.is_dir()]
    others = [f"{entry.name} (in no folder of a class)" for entry in seen if not entry.is_dir()]
    return folders, others, len(entries) - len(seen)
