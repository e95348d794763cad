"""How a run is spread over devices, and over the processes of a cluster."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from warptf_launcher.interruption import interruption

from .run_directory import RunDirectory
from .run_lock import RunLock
from .run_options import RunOptions

_EXAMPLE = (
    '\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}\''
)
# What TensorFlow raises in a worker that no longer reaches the others.
LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)


def make_strategy(config: RunOptions) -> tf.distribute.Strategy:
    """Returns the distribution strategy that a configuration asks for.

    Args:
        config: The configuration. That of several workers must come before TensorFlow has begun to
            compute.

    Raises:
        ValueError: If the cluster is not, or badly, described.
    """
    if config.strategy == "multiworker":
        _task()
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        # It may have taken signals over.
        interruption.renew()
        return strategy
    several = len(tf.config.list_physical_devices("GPU")) > 1
    if config.strategy == "mirrored" or (config.strategy is None and several):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


@contextlib.contextmanager
def run_directory(config: RunOptions, path: Path) -> Iterator[RunDirectory]:
    """Gives the folder that this process writes.

    The first worker of a cluster writes the run directory. The others write the same files, since
    all must take part in what they hold, into a temporary folder that begins as the copy of a run
    that is continued.

    Args:
        config: The configuration.
        path: The run directory.

    Yields:
        The folder.

    Raises:
        ValueError: If the cluster is badly described.
    """
    if config.strategy != "multiworker" or _task() == ("worker", 0):
        yield RunDirectory(path)
        return
    with tempfile.TemporaryDirectory(prefix="warptf-worker-") as folder:
        own = Path(folder) / "run"
        if config.resume and path.exists():
            # The first worker may be moving files into place.
            ignored = shutil.ignore_patterns("writing-*", RunLock.NAME)
            shutil.copytree(path, own, ignore=ignored)
        yield RunDirectory(own)


def _task() -> tuple[str, int]:
    """Returns the kind and number of this process in its cluster."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise ValueError(
            "--strategy multiworker: the environment variable TF_CONFIG is not set; set it for "
            f"each worker, as {_EXAMPLE} for the first of two"
        )
    try:
        described = json.loads(text)
        workers = described["cluster"]["worker"]
        kind, index = described["task"]["type"], int(described["task"]["index"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"--strategy multiworker: TF_CONFIG {text} cannot be read; give one as {_EXAMPLE}"
        ) from error
    if set(described["cluster"]) != {"worker"} or kind != "worker":
        raise ValueError(
            f"--strategy multiworker: TF_CONFIG {text} must name workers alone; the first of them "
            "is the chief"
        )
    if not 0 <= index < len(workers):
        raise ValueError(
            f"--strategy multiworker: TF_CONFIG names {len(workers)} workers, but the index of "
            f"this one is {index}"
        )
    return kind, index
