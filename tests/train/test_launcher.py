"""The console script reads arguments without TensorFlow, and settles its environment."""

import os
import subprocess
import sys

import pytest


def script(body: str, **environment: str) -> str:
    """What a script prints that begins as the console script does."""
    head = "import os, sys\nfrom warptf_launcher.command import main\n"
    done = subprocess.run(
        [sys.executable, "-c", head + body],
        env={k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ANSWERS = """
def code(words):
    sys.argv = ["warptf", *words.split()]
    try:
        return main()
    except SystemExit as exit_:
        return exit_.code

for words, expected in {
    "--help": 0,
    "--version": 0,
    "": 2,
    "unknown": 2,
    "train --help": 0,
    "train multi-shot --help": 0,
    "train few-shot --help": 0,
    "train sine --help": 0,
    "train continual-sine --help": 0,
    "train surfaces --help": 0,
    "train maze --help": 0,
    "train few-shot --not-a-flag 3": 2,
    "train unknown": 1,
    "tune sine --help": 0,
    "evaluate --help": 0,
    "evaluate not-there": 1,
    "export --help": 0,
    "export not-there out": 1,
    "predict --help": 0,
    "compare --help": 0,
    "compare": 1,
    "compare not-there": 1,
    "data prepare --help": 0,
}.items():
    assert code(words) == expected, words
    heavy = {"tensorflow", "keras", "matplotlib", "scipy", "PIL"} & set(sys.modules)
    assert not heavy, f"{words}: {heavy}"
"""


def test_arguments_are_read_without_tensorflow() -> None:
    assert "usage: warptf" in script(ANSWERS)


def test_version() -> None:
    from importlib.metadata import version

    printed = script('sys.argv = ["warptf", "--version"]\nsys.exit(main())')
    assert printed == f"warptf {version('warptf')}\n"


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(given: str | None, expected: str) -> None:
    body = 'sys.argv = ["warptf", "--help"]\nmain()\nprint(os.environ["TF_ENABLE_ONEDNN_OPTS"])'
    environment = {} if given is None else {"TF_ENABLE_ONEDNN_OPTS": given}
    assert script(body, **environment).splitlines()[-1] == expected


PACKAGE = """
from warptf_launcher import deferral
deferral.defer()
import warptf.train.experiments
assert "tensorflow" not in sys.modules
BODY
import keras
import warptf
assert warptf.layers.WarpScale is keras.saving.get_registered_object("warptf>WarpScale")
assert {*warptf.__all__} <= {*vars(warptf)}
deferral.defer()
deferral.load()
print(sys.modules["warptf"] is warptf, type(warptf).__name__)
"""


@pytest.mark.parametrize("body", ["deferral.load()", "from warptf import WarpLayer"])
def test_the_package_is_whole_once_it_is_needed(body: str) -> None:
    assert script(PACKAGE.replace("BODY", body)) == "True module\n"
