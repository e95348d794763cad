"""One writer at a time for a folder."""

import contextlib
import datetime
import errno
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class RunLock:
    """Keeps other processes from writing a folder while this one does.

    The lock is the kernel's, on a file in the folder: it ends with the process that holds it,
    however that ends. The file tells who holds it, and is removed with the lock.

    Args:
        folder: The folder, which must be there when the lock is taken.
        argument: What named the folder on the command line.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with RunLock(folder) as lock:
    ...     lock.acquire()
    ...     RunLock(folder).acquire()
    Traceback (most recent call last):
    BlockingIOError: --run-dir ...: process ... on ..., since ..., is writing it; ...
    """

    NAME = "run.lock"

    def __init__(self, folder: Path, argument: str = "--run-dir") -> None:
        self.path = Path(folder) / self.NAME
        self._argument = argument
        self._file: int | None = None

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Takes the lock, if this object does not hold it.

        Raises:
            BlockingIOError: If another process holds it.
            OSError: If the folder cannot be written.
        """
        while self._file is None:
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise OSError(
                    f"{self._argument} {self.path.parent}: cannot be written ({error.strerror}); "
                    f"choose a folder that can"
                ) from error
            try:
                self._lock(file)
                if self._is_current(file):
                    self._write_owner(file)
                    self._file, file = file, -1
            finally:
                if file >= 0:
                    os.close(file)

    def release(self) -> None:
        """Gives the lock back, if this object holds it."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                # While it is held: one who takes it afterwards makes a new file.
                self.path.unlink()
            os.close(self._file)
            self._file = None

    def _lock(self, file: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{self._argument} {self.path.parent}: {_text(_read_owner(file))} is writing it; "
                f"wait for it, end it, or choose another folder"
            ) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            print(
                f"warptf: {self.path.parent} is on a file system without locks: see to it that no "
                f"second run writes it",
                file=sys.stderr,
            )

    def _is_current(self, file: int) -> bool:
        """Whether the file is still the one of that name: its last holder may have removed it."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _write_owner(self, file: int) -> None:
        left = _read_owner(file)
        if left:
            print(f"warptf: {self.path}: {_text(left)} was killed; going on", file=sys.stderr)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(owner).encode(), 0)
        except OSError as error:
            raise OSError(
                f"{self._argument} {self.path.parent}: cannot be written ({error.strerror}); free "
                f"space, or choose another folder"
            ) from error


def _read_owner(file: int) -> dict[str, Any]:
    """Returns who wrote the lock's file last, or nothing where that cannot be said."""
    try:
        owner = json.loads(os.pread(file, 4096, 0))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _text(owner: dict[str, Any]) -> str:
    known = [str(owner.get(name, "?")) for name in ("pid", "host", "since")]
    return "process {} on {}, since {},".format(*known)
