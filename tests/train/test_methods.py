"""Methods are entries of one registry, from which choices, checks, searches and tables follow."""

import subprocess
import sys
from pathlib import Path

import pytest

from warptf import initializations, inner_optimizers, models
from warptf.train import methods
from warptf.train.experiments import EXPERIMENTS

PAGE = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()

# What a user of the registry writes: a class, and an entry. Everything else is as it is.
NEW = """
import keras
from warptf import initializations
from warptf.train import methods

@keras.saving.register_keras_serializable(package="toy")
class Toy(initializations.Reptile):
    def __init__(self, perturbation=0.01, **kwargs):
        super().__init__(**kwargs)
        self.perturbation = perturbation

    def get_config(self):
        return {**super().get_config(), "perturbation": self.perturbation}

initializations.Toy = Toy
methods.METHODS["toy"] = methods.Method(
    adapted="everything",
    meta_learned="a toy",
    initialization="Toy",
    OPTIONS
    outer_steps=dict(outer_optimizer="sgd", initialization_rate=0.5),
)
"""
REACHED = """
import pathlib, sys, tempfile
from warptf.train.command.cli import main
from warptf.train.experiments import EXPERIMENTS
from warptf.train.tune.space import read_space

reached = [n for n, e in EXPERIMENTS.items() if "toy" in e.config_class.choices()["meta_learner"]]
assert reached == ["multi-shot", "few-shot", "sine"], reached
folder = pathlib.Path(tempfile.mkdtemp()) / "run"
small = ["train", "sine", "--preset", "smoke", "--meta-learner", "toy", "--perturbation", "0.25"]
assert main([*small, "--run-dir", str(folder)]) == 0
assert main(["evaluate", str(folder)]) == 0
from warptf.train.command.finished_run import open_finished_run
run = open_finished_run(folder)
assert type(run.learner().initialization) is Toy
assert run.learner().initialization.perturbation == 0.25
config = run.config
assert (config.outer_optimizer, config.initialization_rate) == ("sgd", 0.5)
assert "initialization_rate" in read_space((), config, ()).dimensions
for name in ("few-shot", "multi-shot"):
    config = EXPERIMENTS[name].config_class.from_preset("smoke", meta_learner="toy")
    config.validate()
    program = EXPERIMENTS[name].load()
    learner = program.build_learner(config, program.build_tasks(config))
    assert type(learner.initialization) is Toy
assert "`toy`" in methods.table("few-shot")
assert main(["train", "sine", "--meta-learner", "maml", "--perturbation", "0.25"]) == 1
"""


def test_a_new_method_is_a_class_and_an_entry() -> None:
    new = NEW.replace("OPTIONS", 'options=("perturbation",),')
    # Multi-shot has no such option, and gives the class its default.
    done = subprocess.run(
        [sys.executable, "-c", new + REACHED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (
        "--perturbation 0.25: is for --meta-learner fo-b-maml or toy; leave it out" in done.stderr
    )


@pytest.mark.parametrize("name", methods.METHODS)
def test_an_entry_names_what_there_is(name: str) -> None:
    method = methods.METHODS[name]
    assert hasattr(initializations, method.initialization)
    assert hasattr(inner_optimizers, method.inner_optimizer)
    assert method.model is None or hasattr(models, method.model)
    assert method.experiments and set(method.experiments) <= set(EXPERIMENTS)
    for experiment in set(method.experiments) - {"multi-shot"}:
        config = EXPERIMENTS[experiment].config_class.from_preset(meta_learner=name)
        assert all(hasattr(config, field) for field in method.options + method.model_options)


@pytest.mark.parametrize("experiment", ["few-shot", "sine"])
def test_tables_of_the_documentation_are_those_of_the_registry(experiment: str) -> None:
    table = methods.table(experiment)
    assert table in PAGE, f"the table of {experiment} in docs/experiments.md must read:\n{table}"


def test_a_method_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="--meta-learner mammal: choose one of warp-maml, .*none$"):
        methods.find("mammal")
