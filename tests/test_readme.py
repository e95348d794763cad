"""The README says what is so: its example runs, its links lead somewhere, its commands exist."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from warptf.train.multi_shot_config import MultiShotConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_first_example_runs_and_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.splitlines()) < 30
    # The same program at a size that a test can afford.
    for full, small in {
        "Conv2D(32": "Conv2D(2",
        "tasks_per_batch=5": "tasks_per_batch=2, steps=2, batch_size=4",
        "inner_steps=100": "inner_steps=2",
        "steps_per_epoch=5, epochs=6": "steps_per_epoch=1, epochs=1, verbose=0",
        "steps=100, batch_size=20": "steps=2, batch_size=4",
    }.items():
        assert full in example
        example = example.replace(full, small)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert "accuracy" in capsys.readouterr().out
    assert (tmp_path / "learner.keras").is_file()
    served = tf.saved_model.load(str(tmp_path / "served"))
    images = np.zeros((3, 28, 28, 1), "float32")
    assert served.predict(images)["predictions"].shape == (3, 20)


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    ids=str,
)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert document.parent.joinpath(target).exists(), target


def test_meta_learners_named_are_those_that_there_are() -> None:
    named = re.search(r"--meta-learner\s+([a-z-]+\|[a-z|-]+)`", README)
    assert named is not None
    field = MultiShotConfig.__dataclass_fields__["meta_learner"].type
    assert set(named.group(1).split("|")) == set(field.__args__)  # type: ignore[union-attr]
