"""The README says what is so: its example runs, its links lead somewhere, its commands exist."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tasks.photographs import unpack_photographs

from warptf.train.cli import main
from warptf.train.few_shot_config import FewShotConfig
from warptf.train.multi_shot_config import MultiShotConfig
from warptf.train.run_options import RunOptions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SMALL = "--preset smoke --ways 2 --filters 2 --meta-steps 2 --test-tasks 5 --fractions 1 1 1"


def test_first_example_runs_and_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = EXAMPLES[0]
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


def test_photographs_become_a_served_classifier_in_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    classes = ["accordion", "anchor", "barrel", "bass", "beaver", "bonsai"]
    unpack_photographs(tmp_path / "photographs", classes, 6)
    train, export = re.findall(r"^    warptf (train few-shot .*|export .*)$", README, re.MULTILINE)
    assert main([*shlex.split(train), *shlex.split(SMALL)]) == 0
    assert main(shlex.split(export)) == 0
    support_x, support_y = np.random.rand(2, 84, 84, 3).astype("float32"), np.arange(2)
    given = dict(support_x=support_x, support_y=support_y.astype("int32"), query_x=support_x)
    exec(compile(EXAMPLES[1], "README.md", "exec"), given)
    assert given["logits"].shape == (2, 2)


@pytest.mark.parametrize("config", [MultiShotConfig, FewShotConfig])
def test_every_method_is_documented(config: type[RunOptions]) -> None:
    documented = (ROOT / "docs" / "experiments.md").read_text()
    for name in config.choices()["meta_learner"]:
        assert re.search(rf"^\| [^|]*`{name}`", documented, re.MULTILINE), name
