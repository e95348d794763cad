"""Images in folders: a folder for each class."""

import os
from collections.abc import Callable

import numpy as np

from warptf.tasks.image_bank import ImageBank
from warptf.tasks.image_files import bank_of_files, checked_format, existing_directory, images_in
from warptf.tasks.wording import some_of


def image_folder_bank(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = 84,
    channels: int = 3,
    cache_dir: str | os.PathLike[str] | None = None,
    *,
    resize: bool = True,
    progress: Callable[[str], None] | None = None,
) -> ImageBank:
    """Read a folder of folders, each with the images of the class that it is named for.

    JPEG, PNG, BMP and GIF files (their first frame) are read, whatever their case; hidden files
    and others are passed over, and so is what lies deeper. Images are decoded once and kept, see
    `cache_dir`; they are decoded anew when a file's name, size or time of change is another one.

    Args:
        directory: The folder with the folders of classes.
        image_size: Side, or `(height, width)`, of the bank's images; the aspect of an image is not
            kept. `None` for the size of the files, which must be the same for all. Defaults to 84.
        channels: 3 for colour, 1 for grey; files of the other kind are converted, transparency is
            dropped. Defaults to 3.
        cache_dir: The folder that decoded images are kept in. Defaults to what the environment
            variable `WARPTF_CACHE_DIR` names, else to `~/.cache/warptf`.
        resize: Whether images of another size are resized, bilinearly and without aliasing,
            instead of being refused. Defaults to `True`.
        progress: Called with a line of text now and then. Defaults to `None`.

    Returns:
        The images, sorted by the names of classes and files.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are fewer than two classes, a class has no image, or images are
            corrupt or of a wrong size; the error names them.

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
    names = sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    if len(names) < 2:
        raise ValueError(
            f"`directory`: {root!r} has {len(names)} folders ({some_of(names)}), and a "
            "classification needs two classes at least; name the folder above those of the classes."
        )
    found = [images_in(os.path.join(root, name)) for name in names]
    empty = [name for name, files in zip(names, found, strict=True) if not files]
    if empty:
        raise ValueError(
            f"`directory`: folders without an image in {root!r}: {some_of(empty)}; add images "
            "(JPEG, PNG, BMP or GIF) or remove them."
        )
    paths = [os.path.join(n, f) for n, files in zip(names, found, strict=True) for f in files]
    labels = np.repeat(np.arange(len(names)), [len(files) for files in found])
    return bank_of_files("folder", root, paths, labels, names, form, cache_dir, progress)
