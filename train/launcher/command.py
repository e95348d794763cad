"""The console script `warptf`.

A package of its own, `warptf_launcher`, because importing any part of `warptf` imports TensorFlow,
and TensorFlow reads its environment when it is first imported. The command defers that until it
has read its arguments.
"""

import importlib
import os
import sys

from warptf_launcher import deferral
from warptf_launcher.interruption import interruption


def main() -> int:
    """Runs the `warptf` command, TensorFlow's oneDNN kernels on unless the user says otherwise.

    TensorFlow turns them on by itself only for processors with AVX-512; on others they make
    convolutions up to twice as fast as well. `TF_ENABLE_ONEDNN_OPTS=0` keeps them off.

    Returns:
        The exit code.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    return run()


def run() -> int:
    """Runs the `warptf` command in TensorFlow's environment as it is.

    Returns:
        The exit code.
    """
    interruption.install()
    try:
        deferral.defer()
        # Not at the top: the lines above must come before any part of `warptf` is imported.
        command = importlib.import_module("warptf.train.command.cli").main
    except ImportError as error:
        if error.name != "warptf":
            raise
        print(f"warptf: error: {error}", file=sys.stderr)
        return 1
    return command()
