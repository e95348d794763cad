"""Functions in processes of their own, called in turns."""

import multiprocessing
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class Worker:
    """A fresh process that prepares something and does it whenever it is told.

    Args:
        prepare: a function of a module, `prepare(*arguments)`; it returns the function of no
            arguments that each call runs.
        *arguments: what `prepare` is given.

    Use it in a `with` statement, which ends the process.
    """

    def __init__(self, prepare: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
        # Not forked: TensorFlow's threads and settings are to be the process' own.
        context = multiprocessing.get_context("spawn")
        self._connection, connection = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(connection, prepare, arguments), daemon=True
        )
        self._process.start()
        connection.close()

    def __call__(self) -> Any:
        """Has the process do it once and returns the result.

        Raises:
            RuntimeError: the process has failed.
        """
        try:
            self._connection.send(True)
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError(
                f"the measuring process ended with exit code {self._process.exitcode}; "
                "what it printed says why."
            ) from error

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
        self._connection.close()
        self._process.join()


def _serve(
    connection: Any, prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]
) -> None:
    function = prepare(*arguments)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        connection.send(function())
