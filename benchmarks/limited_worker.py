"""A process that calls functions, each within a limit of time."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self


class LimitedWorker:
    """A process that calls functions one after another, and is ended where one takes too long.

    It starts with the first call, and anew with the next one after it was ended.

    Args:
        environment: variables of its environment beside those of this process.

    Use it in a `with` statement, which ends the process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(environment or {})
        self._process: Any = None
        self._connection: Any = None

    def __call__(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns what a function of a module returns in the process.

        Args:
            seconds: how long it may take, the start of the process included.
            function: the function.
            *arguments: what it is given.

        Raises:
            TimeoutError: it took too long, and the process was ended.
            RuntimeError: the process has failed.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send((function, arguments))
            if not self._connection.poll(seconds):
                self.end()
                raise TimeoutError(f"cut off after {seconds:.3g} s")
            return self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join()
            code = self._process.exitcode
            self.end()
            raise RuntimeError(f"the process ended with exit code {code}") from error

    def end(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        # Not forked: TensorFlow's threads and settings are to be the process' own.
        context = multiprocessing.get_context("spawn")
        self._connection, connection = context.Pipe()
        self._process = context.Process(target=_serve, args=(connection,), daemon=True)
        with _environment(self.environment):
            self._process.start()
        connection.close()

    def __enter__(self) -> Self:
        """Returns the worker."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the process."""
        self.end()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(connection: Any) -> None:
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        connection.send(function(*arguments))
