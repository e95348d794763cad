"""The `warptf` command.

Exit codes: 0 done; 1 the command failed, with one line on standard error that says why; 2 the
arguments could not be read; 130 interrupted from the keyboard; 143 terminated.
"""

import errno
import importlib.metadata
import os
import sys
from collections.abc import Callable

import tyro
from warptf_launcher.interruption import interruption

from . import commands

_COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "train": ("[EXPERIMENT] meta-train, and score on held-out tasks", commands.train),
    "tune": ("[EXPERIMENT] search hyper-parameters with KerasTuner", commands.tune),
    "evaluate": ("RUN_DIR score a finished run again", commands.evaluate),
    "export": ("RUN_DIR OUT write a SavedModel or a LiteRT file", commands.export),
    "predict": ("RUN_DIR classify a folder of images, given some of each class", commands.predict),
    "compare": ("RUN_DIR... print a table of finished runs", commands.compare),
    "data prepare": ("NAME build a data set from archives on disk", commands.prepare_data),
}

_REMEDIES = {
    errno.ENOSPC: "; free space, then begin again (a run goes on with --resume)",
    errno.EACCES: "; change its permissions, or name another",
    errno.ENOENT: "; correct the path",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The words after `warptf`; those of the process by default.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with interruption.raising():
            code = _dispatch(arguments)
            # What cannot be printed is to be known before the process ends.
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return interruption.report()
    except Exception as error:
        if interruption.received:
            # TensorFlow makes errors of its own of interrupted calls.
            return interruption.report()
        if "--debug" in arguments:
            raise
        _drop_output()
        print(f"warptf: error: {_one_line(error)}", file=sys.stderr)
        return 1


def _dispatch(arguments: list[str]) -> int:
    for name, (_, command) in _COMMANDS.items():
        words = name.split()
        if arguments[: len(words)] == words:
            rest = arguments[len(words) :]
            if command in (commands.train, commands.tune):
                command(rest)
            else:
                tyro.cli(
                    command,
                    prog=f"warptf {name}",
                    args=rest,
                    config=(tyro.conf.FlagCreatePairsOff,),
                )
            return 0
    if arguments == ["--version"]:
        print(f"warptf {importlib.metadata.version('warptf')}")
        return 0
    asked = arguments[:1] in (["-h"], ["--help"])
    print(_usage(), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def _usage() -> str:
    lines = ["usage: warptf COMMAND ...", ""]
    lines += [f"  {name:14}{summary}" for name, (summary, _) in _COMMANDS.items()]
    return "\n".join(
        [
            *lines,
            "",
            "warptf COMMAND --help lists the arguments of a command.",
            "warptf --version prints the version.",
        ]
    )


def _drop_output() -> None:
    """Flushes standard output, or turns it away where that fails, so that Python does not try."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: Exception) -> str:
    """Returns the message of an error without line breaks, with its kind where it names none."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        # As the system raised it.
        what = "standard output" if error.filename is None else error.filename
        return f"{what}: {error.strerror}{_REMEDIES.get(error.errno, '')}"
    text = " ".join(str(error).split())
    # Of the package itself: Keras runs on something else than TensorFlow.
    own = isinstance(error, ImportError) and error.name == "warptf"
    if (own or isinstance(error, ValueError | TypeError | OSError)) and text:
        return text
    return f"{type(error).__name__}: {text}"
