"""Ctrl-C and SIGTERM at any moment: one line, and an exit code that says which of them it was."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

_NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_STDERR = 2
_AT_ONCE, _RAISING, _IGNORING = "at once", "raising", "ignoring"
# What the import of a module may take to come to its end, and a command to leave things in order.
_IMPORT_SECONDS, _COMMAND_SECONDS = 1.0, 10.0


class Interruption:
    """Ends the command when it is interrupted from the keyboard or terminated.

    While modules are imported there is nothing to put in order, and some of them swallow
    exceptions: the process ends at once. While a command runs, `KeyboardInterrupt` is raised in the
    main thread; the process ends all the same where that does not come through, as from within a
    long computation, or at a second signal. All that a run has written is whole at any moment.
    """

    def __init__(self) -> None:
        self._mode = _AT_ONCE
        self._received: int | None = None
        self._remedy = ""
        self._grace = _IMPORT_SECONDS
        self._pid = 0

    @property
    def received(self) -> bool:
        """Whether a signal has been received."""
        return self._received is not None

    def install(self) -> None:
        """Takes both signals over, where this is the main thread and they are not ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _NAMES:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        if not self._pid:
            self._pid = os.getpid()
            self._watch()

    def renew(self) -> None:
        """Takes both signals over again, if they were, from a library that has done likewise."""
        if self._pid:
            self.install()

    def resumes_by(self, flags: str) -> None:
        """Notes what continues what the command writes, the first time that it is called.

        Args:
            flags: Of the command line.
        """
        self._remedy = self._remedy or f"{flags} continues it"

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Has signals raise `KeyboardInterrupt` within, and ignores them from then on."""
        self._mode, self._grace, self._remedy = _RAISING, _COMMAND_SECONDS, ""
        try:
            yield
        finally:
            self._mode = _IGNORING

    @contextlib.contextmanager
    def importing(self) -> Iterator[None]:
        """Has signals end the process at once within, where a command imports modules."""
        mode, grace = self._mode, self._grace
        self._mode, self._grace = _AT_ONCE, _IMPORT_SECONDS
        try:
            yield
        finally:
            self._mode, self._grace = mode, grace

    def report(self) -> int:
        """Says that the command was interrupted.

        Returns:
            The exit code: 128 and the number of the signal.
        """
        number = self._received or signal.SIGINT
        begin = "\n" if os.isatty(_STDERR) else ""
        remedy = self._remedy or "nothing was begun that could be continued"
        line = f"{begin}warptf: {_NAMES[signal.Signals(number)]}; {remedy}\n"
        # Not by `print`, which may be what was interrupted.
        with contextlib.suppress(OSError):
            os.write(_STDERR, line.encode())
        return 128 + number

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A child by fork ends as any other process.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self._mode == _IGNORING:
            return
        mode, self._mode = self._mode, _AT_ONCE
        self._received = self._received or number
        if mode == _AT_ONCE:
            os._exit(self.report())
        raise KeyboardInterrupt

    def _watch(self) -> None:
        """Starts a thread that ends the process where the main one does not come to it."""
        end, begin = os.pipe()
        os.set_blocking(begin, False)
        # Python writes the number of a signal here as it arrives, whatever the main thread does.
        signal.set_wakeup_fd(begin, warn_on_full_buffer=False)
        threading.Thread(target=self._end_late, args=(end,), daemon=True).start()

    def _end_late(self, end: int) -> None:
        while True:
            number = os.read(end, 1)[0]
            if number in _NAMES and self._mode != _IGNORING:
                break
        time.sleep(self._grace)
        if self._mode != _IGNORING:
            self._received = self._received or number
            os._exit(self.report())


interruption = Interruption()
"""That of this process."""
