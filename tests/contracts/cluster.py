"""Processes on this machine that act as the workers of a cluster."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path


def start_workers(commands: Sequence[Sequence[str]], logs: Path) -> list[subprocess.Popen[bytes]]:
    """Starts a worker for each command, which finds the cluster in its environment.

    Args:
        commands: the words of each worker's command.
        logs: a folder that receives what each says, as `out.0`, `err.0` and so on.
    """
    addresses = [f"localhost:{port}" for port in _free_ports(len(commands))]
    workers = []
    for index, command in enumerate(commands):
        task = {"type": "worker", "index": index}
        cluster = {"cluster": {"worker": addresses}, "task": task}
        environment = os.environ | {"TF_CONFIG": json.dumps(cluster), "TF_CPP_MIN_LOG_LEVEL": "3"}
        with (logs / f"out.{index}").open("wb") as out, (logs / f"err.{index}").open("wb") as err:
            workers.append(subprocess.Popen(command, env=environment, stdout=out, stderr=err))
    return workers


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
