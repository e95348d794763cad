"""`python -m warptf.train` is the `warptf` command."""

import sys

from .cli import main

sys.exit(main())
