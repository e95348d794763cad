"""The four Omniglot archives: checked by what they hold, then unpacked."""

import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

DRAWINGS = 20
_SIDE = 105
_LARGEST = 2**20  # Bytes of a drawing, which has some hundreds.
_PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", _SIDE, _SIDE)
_ENTRY = re.compile(
    r"(?P<root>[^/]+)/(?P<alphabet>[^/]+)/character(?P<character>\d{2})/"
    r"(?P<label>\d{4})_(?P<drawing>\d{2})\.png"
)


class Archive(NamedTuple):
    """What one archive has to hold.

    Args:
        name: File name; without its suffix also the name of the only folder at its top.
        alphabets: Number of alphabets.
        labels: Number of characters.
        first_label: Characters are numbered through from here; `None` where the archive repeats a
            part of another one.
    """

    name: str
    alphabets: int
    labels: int
    first_label: int | None


ARCHIVES = {
    "train": Archive("images_background.zip", 30, 964, 1),
    "eval": Archive("images_evaluation.zip", 20, 659, 965),
    "small1": Archive("images_background_small1.zip", 5, 136, None),
    "small2": Archive("images_background_small2.zip", 5, 156, None),
}


def check_archives(directory: str, progress: Callable[[str], None]) -> None:
    """Make sure that all four archives are there, whole, and hold what they should.

    Args:
        directory: The folder that the archives are in.
        progress: Called with a line of text for each archive.

    Raises:
        FileNotFoundError: If an archive is missing.
        ValueError: If one is truncated, damaged, or does not hold the expected drawings.
    """
    paths = {key: os.path.join(directory, archive.name) for key, archive in ARCHIVES.items()}
    missing = [path for path in paths.values() if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"`archives`: {', '.join(map(repr, missing))} missing; put the four Omniglot archives "
            f"({', '.join(archive.name for archive in ARCHIVES.values())}) in one folder."
        )
    characters: dict[str, set[tuple[str, str, str]]] = {}
    for key, archive in ARCHIVES.items():
        progress(f"checking {paths[key]}")
        characters[key] = _check_archive(paths[key], archive)
    for key in ("small1", "small2"):
        unknown = characters[key] - characters["train"]
        if unknown:
            raise _damaged(paths[key], f"{min(unknown)} is not in {ARCHIVES['train'].name}")


def unpack_archive(directory: str, key: str, target: str) -> str:
    """Unpack the drawings of a checked archive.

    Args:
        directory: The folder that the archives are in.
        key: One of `ARCHIVES`.
        target: A folder to unpack to.

    Returns:
        The folder above the archive's own top folder.
    """
    destination = os.path.join(target, key)
    with zipfile.ZipFile(os.path.join(directory, ARCHIVES[key].name)) as content:
        drawings = [info.filename for info, _ in _drawings(content)]
        content.extractall(destination, members=drawings)
    return destination


def _check_archive(path: str, archive: Archive) -> set[tuple[str, str, str]]:
    try:
        with zipfile.ZipFile(path) as content:
            entries = list(_drawings(content))
            _check_layout(path, archive, [match for _, match in entries])
            for info, _ in entries:
                with content.open(info) as entry:
                    drawing = entry.read(_LARGEST + 1)  # What its header says proves nothing.
                if len(drawing) > _LARGEST or not drawing.startswith(_PNG_HEADER):
                    raise _damaged(path, f"{info.filename} is no {_SIDE}x{_SIDE} PNG image")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise _damaged(path, f"truncated or corrupt: {error}") from error
    return {(match["alphabet"], match["character"], match["label"]) for _, match in entries}


def _drawings(content: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, re.Match[str]]]:
    for info in content.infolist():
        base = info.filename.rsplit("/", 1)[-1]
        if info.is_dir() or base.startswith(".") or info.filename.startswith("__MACOSX/"):
            continue
        match = _ENTRY.fullmatch(info.filename)
        if match is None:
            raise _damaged(
                str(content.filename),
                f"{info.filename!r} is not of the form Folder/Alphabet/characterNN/NNNN_MM.png",
            )
        yield info, match


def _check_layout(path: str, archive: Archive, entries: list[re.Match[str]]) -> None:
    root = archive.name.removesuffix(".zip")
    roots = {match["root"] for match in entries}
    if entries and roots != {root}:
        raise _damaged(path, f"its top folders are {sorted(roots)}, expected {root!r} alone")
    expected = archive.labels * DRAWINGS
    drawings = Counter(match.group("label", "drawing") for match in entries)
    if len(entries) != expected or len(drawings) != expected:
        raise _damaged(path, f"{len(drawings)} different drawings, expected {expected}")
    characters = {match.group("alphabet", "character") for match in entries}
    labels = {match["label"]: match.group("alphabet", "character") for match in entries}
    if not len(characters) == len(labels) == archive.labels:
        raise _damaged(
            path,
            f"{len(characters)} characters under {len(labels)} numbers, "
            f"expected {archive.labels} of each",
        )
    alphabets = {alphabet for alphabet, _ in characters}
    if len(alphabets) != archive.alphabets:
        raise _damaged(path, f"{len(alphabets)} alphabets, expected {archive.alphabets}")
    for match in entries:
        if labels[match["label"]] != match.group("alphabet", "character"):
            raise _damaged(path, f"number {match['label']} stands for two characters")
        if not 1 <= int(match["drawing"]) <= DRAWINGS:
            raise _damaged(path, f"{match[0]}: drawings are numbered 01 to {DRAWINGS}")
    if archive.first_label is not None:
        first, last = archive.first_label, archive.first_label + archive.labels - 1
        if {int(label) for label in labels} != set(range(first, last + 1)):
            raise _damaged(path, f"characters are not numbered {first:04d} to {last:04d}")


def _damaged(path: str, reason: str) -> ValueError:
    return ValueError(f"`archives`: {path!r} cannot be used ({reason}); get this archive anew.")
