"""`python -m warptf.train` is the `warptf` command, in TensorFlow's environment as it is."""

import sys

from warptf_launcher.command import run

sys.exit(run())
