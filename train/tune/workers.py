"""Several processes of this machine that search together: KerasTuner's chief and its workers."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from .directory import TuneDirectory

_HOST = "127.0.0.1"
_POLL_SECONDS = 0.2


def search_with_workers(folder: TuneDirectory, workers: int) -> None:
    """Runs the search of a folder in a chief, which hands out trials, and workers, which run them.

    Args:
        folder: The directory of the search, opened.
        workers: Number of workers.

    Raises:
        ChildProcessError: If one of the processes fails; the others are ended.
    """
    folder.logs.mkdir(exist_ok=True)
    port = _free_port()
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in ("chief", *(f"worker{number}" for number in range(workers))):
            processes[name] = _start(folder, name, port)
        while any(process.poll() is None for name, process in processes.items() if name != "chief"):
            for name, process in processes.items():
                _check(name, process, folder.logs / f"{name}.log")
            time.sleep(_POLL_SECONDS)
        for name, process in processes.items():
            _check(name, process, folder.logs / f"{name}.log")
    finally:
        # The chief too: when the workers have ended, all is written; it would look up in 20 s.
        for process in processes.values():
            process.kill()
            process.communicate()


def _start(folder: TuneDirectory, name: str, port: int) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": _HOST,
        "KERASTUNER_ORACLE_PORT": str(port),
    }
    command = [sys.executable, "-m", f"{__package__}.worker", str(folder.path)]
    with (folder.logs / f"{name}.log").open("wb") as log:
        # The end of its standard input tells a process that this one is gone, however it ended.
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal is for the command alone, which ends its processes.
            start_new_session=True,
        )


def _check(name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    code = process.poll()
    # A chief may end of itself, once the last trial has been handed out and has ended.
    if code not in (None, 0):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        said = lines[-1] if lines else "nothing was said"
        raise ChildProcessError(
            f"--workers: the process {name} ended with code {code} ({said}; more in {log}); "
            f"--resume continues the search"
        )


def _free_port() -> int:
    try:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            return probe.getsockname()[1]
    except OSError as error:
        raise OSError(
            f"--workers: no port of {_HOST} can be had ({error.strerror}); search with one worker"
        ) from error
