"""One process of a search with several: the chief or a worker, as KerasTuner's environment says."""

import os
import sys
import threading
from pathlib import Path

from ..engine.threads import use_threads
from ..engine.whole_files import read_json
from ..experiments.registry import EXPERIMENTS
from .directory import TuneDirectory
from .space import read_space
from .trial_tuner import make_tuner


def main() -> int:
    """Takes part in the search of the folder that the command line names.

    Returns:
        The exit code.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = TuneDirectory(Path(sys.argv[1]))
    content = read_json(folder.config)
    experiment = EXPERIMENTS[content["experiment"]].load()
    _, config, options = folder.read_config(experiment.config_class)
    use_threads(config.threads_per_operation)
    space = read_space(options.space, config, content["fixed"])
    try:
        make_tuner(experiment, config, options, space, folder.path).search(verbose=0)
    except Exception as error:
        # The last line is what the command that started this process repeats.
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


def _end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, even if it was killed."""
    # Not by `sys.stdin`, whose lock would then be held when this process ends of itself.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
