"""The console script settles TensorFlow's environment before TensorFlow is imported."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from warptf_launcher.command import main
assert "tensorflow" not in sys.modules
sys.argv = ["warptf", "--help"]
code = main()
assert "tensorflow" in sys.modules
print(code, os.environ["TF_ENABLE_ONEDNN_OPTS"])
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(given: str | None, expected: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if given is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = given
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    usage, last_line = done.stdout.split("\n")[0], done.stdout.splitlines()[-1]
    assert usage.startswith("usage: warptf")
    assert last_line == f"0 {expected}"
