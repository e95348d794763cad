"""Sources of images are entries of one registry, from which choices, needs and checks follow."""

import subprocess
import sys

import pytest

from warptf import tasks
from warptf.train import sources
from warptf.train.experiments import EXPERIMENTS

# What a user of the registry writes: a function, and an entry. Everything else is as it is.
NEW = """
import sys, types
import numpy as np
from warptf.tasks import ImageBank
from warptf.train import sources

def read_noise(config):
    rng = np.random.default_rng(config.seed)
    images = rng.integers(0, 255, (600, 28, 28, 1), "uint8")
    return ImageBank(images, np.repeat(np.arange(20), 30), [f"c{n}" for n in range(20)])

module = types.ModuleType("warptf.train.noise")
module.read_noise = read_noise
sys.modules[module.__name__] = module
sources.SOURCES["noise"] = sources.Source(
    reader="noise:read_noise", images="a folder of noise", one_size=True
)
"""
REACHED = """
import json, tempfile
from warptf.train.command.cli import main
from warptf.train.experiments import EXPERIMENTS

choices = {n: e.config_class.choices()["data"] for n, e in EXPERIMENTS.items()}
assert [n for n in choices if "noise" in choices[n]] == ["few-shot"]
words = ["train", "few-shot", "--preset", "smoke", "--data", "noise", "--ways", "2"]
words += ["--meta-learner", "centroid"]
assert main(words) == 1
folder = tempfile.mkdtemp()
assert main([*words, "--images", folder, "--run-dir", folder + "/run"]) == 0
described = json.load(open(folder + "/run/split.json"))
assert sorted(sum(described.values(), [])) == sorted(f"c{n}" for n in range(20)), described
"""


def test_a_new_source_is_a_function_and_an_entry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEW + REACHED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--data noise: give --images DIR with it, a folder of noise" in done.stderr


@pytest.mark.parametrize("name", sources.SOURCES)
def test_an_entry_names_what_there_is(name: str) -> None:
    source = sources.SOURCES[name]
    from warptf.train.experiments.few_shot import data

    module, _, function = source.reader.partition(":")
    assert module == "experiments.few_shot.data" and hasattr(data, function)
    assert source.alphabets is None or hasattr(tasks, source.alphabets)
    for experiment in source.experiments:
        assert name in EXPERIMENTS[experiment].config_class.choices()["data"]


def test_a_source_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="--data paintings: choose one of glyphs, .*fc100$"):
        sources.find("paintings")
