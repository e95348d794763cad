"""A command sets the threads of its operations before TensorFlow starts."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import tensorflow as tf
from warptf.train.command import cli
if sys.argv[1] == "used":
    tf.constant(1.0) + 1.0
assert cli.main(["train", "sine", "--preset", "smoke", "--meta-steps", "2", *sys.argv[2:]]) == 0
print("threads", tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize(
    ("before", "flags", "expected"),
    [
        ("fresh", [], 1),
        ("fresh", ["--threads-per-operation", "3"], 3),
        ("fresh", ["--threads-per-operation", "0"], 0),
        # TensorFlow has started with its own number, which it does not change any more.
        ("used", [], 0),
    ],
)
def test_threads_of_an_operation(
    tmp_path: Path, before: str, flags: list[str], expected: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, before, *flags, "--run-dir", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == f"threads {expected}"
