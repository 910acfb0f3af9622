"""What the command line gets from the system: streams that may be closed or full, and signals to end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, TextIO


class Terminated(BaseException):
    """The system asked the process to end; nobody but :func:`spikex_sim.__main__.main` catches it.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Output:
    """Standard output that never ends a command: what goes wrong is kept until the work is done.

    Attributes
    ----------
    failure : OSError or None
        Why not everything could be written.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure = None if stream is not None else OSError(errno.EBADF, os.strerror(errno.EBADF))

    def write(self, text: str) -> int:
        """Write as much as can be."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether somebody looks."""
        return self.failure is None and self._stream is not None and self._stream.isatty()

    def _try(self, method: str, *arguments: str) -> None:
        stream = self._stream
        if stream is None or self.failure is not None:
            return
        try:
            getattr(stream, method)(*arguments)
        except OSError as exc:
            self.failure = exc
            # What is still buffered goes nowhere, lest Python complain about it.
            with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def fill_descriptors() -> None:
    """Open what is closed of the standard streams on nothing, lest a file get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def end_as_after_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP clean up; one that is ignored, as by ``nohup``, stays so."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
