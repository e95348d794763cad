"""Real photographs for tests, where the machine has them."""

import os
import zipfile
from pathlib import Path

import pytest


def unpack_photographs(target: Path, classes: list[str], images: int) -> dict[str, list[Path]]:
    """Put 84x84 photographs of Caltech-101 in `target/class/image_NNNN.jpg`."""
    folder = os.environ.get("WARPTF_DATA_DIR")
    if not folder:
        pytest.skip("WARPTF_DATA_DIR is not set: no photographs")
    archive = Path(folder) / "caltech101" / "caltech101_84.zip"
    if not archive.is_file():
        pytest.skip(f"{archive} does not exist: no photographs")
    found: dict[str, list[Path]] = {name: [] for name in classes}
    with zipfile.ZipFile(archive) as content:
        for entry in sorted(content.namelist()):
            name, file = entry.split("/")[-2:]
            if file and name in found and len(found[name]) < images:
                path = target / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read(entry))
                found[name].append(path)
    return found
