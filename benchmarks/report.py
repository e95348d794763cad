"""What the benchmarks print and write."""

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Returns a Markdown table; floats with the digits that they deserve.

    >>> print(table(["what", "ms"], [["step", 12.345]]))
    | what | ms |
    |---|---|
    | step | 12.3 |
    """
    lines = [list(header), ["---"] * len(header)] + [[_cell(c) for c in row] for row in rows]
    return "\n".join(_line(cells) for cells in lines)


def _line(cells: Sequence[str]) -> str:
    rule = all(cell == "---" for cell in cells)
    return f"|{'|'.join(cells)}|" if rule else f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return "" if value is None else str(value)


def machine() -> dict[str, Any]:
    """Returns the date, the machine and the versions that figures belong to."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras")},
    }


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def publish(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table under its title and the machine."""
    said = ", ".join(f"{name} {value}" for name, value in machine().items())
    print(f"{title}\n\n{said}\n\n{table(header, rows)}", flush=True)


def write_json(path: Path | None, options: Any, figures: Any) -> None:
    """Writes figures with their options and machine, whole or not at all.

    Args:
        path: the file, or `None` for none.
        options: a dictionary of the options that led to the figures.
        figures: what was measured.
    """
    if path is None:
        return
    content = {"machine": machine(), "options": options, "figures": figures}
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    aside.write_text(json.dumps(content, indent=2, default=str) + "\n")
    os.replace(aside, path)
