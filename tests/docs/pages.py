"""The blocks of a page of documentation: what a reader would type."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/guide.md", "docs/serving.md", "docs/experiments.md")
# What a reader of a block knows from its first line.
CLUSTER = "# on each machine of a cluster"


class Block(NamedTuple):
    """A fenced or indented block.

    Attributes:
        page: the file, from the root of the repository.
        line: the number of its first line.
        text: what it holds.
    """

    page: str
    line: int
    text: str

    @property
    def is_python(self) -> bool:
        try:
            ast.parse(self.text)
        except SyntaxError:
            return False
        return True

    @property
    def commands(self) -> list[str]:
        """Its commands of warptf, lines that go on joined, what a shell does with them left out."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        found = []
        for part in re.split(r"\n|&&", joined):
            match = re.match(r"\s*(?:TF_CONFIG='[^']*'\s+)?(?:\.venv/bin/)?warptf (.*)", part)
            if match:
                found.append(match[1].partition(" #")[0].strip())
        return found

    def run(self, names: dict[str, object]) -> None:
        """Runs it as Python, an error pointing to the line of the page."""
        lines = "\n" * (self.line - 1) + self.text
        code = compile(lines, str(ROOT / self.page), "exec")
        if not self.text.startswith(CLUSTER):
            exec(code, names)


def blocks_of(page: str) -> list[Block]:
    """Returns the blocks of a page in its order."""
    lines = (ROOT / page).read_text().splitlines()
    found: list[Block] = []
    fence, start, held = None, 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        mark = line.strip()[:3] == "```"
        if fence is not None and not mark:
            held.append(line)
        elif fence is not None:
            found.append(Block(page, start, "\n".join(held)))
            fence, held = None, []
        elif mark:
            fence, start = line.strip(), number + 1
        elif line.startswith("    ") or (held and not line.strip()):
            start = start if held else number
            held.append(line[4:])
        elif held:
            found.append(Block(page, start, "\n".join(held).rstrip()))
            held = []
    return found
