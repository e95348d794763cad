"""Links of the documentation lead somewhere, and every method is in it."""

import re
from pathlib import Path

import pytest

from warptf.train.engine.run_options import RunOptions
from warptf.train.experiments.few_shot.config import FewShotConfig
from warptf.train.experiments.multi_shot.config import MultiShotConfig

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    ids=str,
)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert document.parent.joinpath(target).exists(), target


@pytest.mark.parametrize("config", [MultiShotConfig, FewShotConfig])
def test_every_method_is_documented(config: type[RunOptions]) -> None:
    documented = (ROOT / "docs" / "experiments.md").read_text()
    for name in config.choices()["meta_learner"]:
        assert re.search(rf"^\| [^|]*`{name}`", documented, re.MULTILINE), name
