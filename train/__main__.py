"""`python -m warptf.train` is the `warptf` command, in TensorFlow's environment as it is."""

import sys

from .cli import main

sys.exit(main())
