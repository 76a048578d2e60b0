"""Leaving when asked: SIGTERM and SIGUSR1 let a training finish its step, save its state and end.

Schedulers send them before they take a machine away (`scancel`, preemption, the end of a time limit).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
AGAIN = 75
"""Exit code of a job that was asked to leave and goes on where it was when it is started again: EX_TEMPFAIL of
sysexits.h."""


class StoppedError(SystemExit):
    """Ends a job that was asked to leave.

    Args:
        sentence: For the user.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(AGAIN)
        self.sentence = sentence


_asked: str | None = None
_patient = False


@contextmanager
def listening() -> Iterator[None]:
    """Heeds the signals in the block: at once, unless the work in it is `patient`."""
    global _asked
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's alone
        yield
        return
    before = {number: signal.signal(number, _take) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _take:
                signal.signal(number, handler)
        _asked = None


@contextmanager
def patient() -> Iterator[None]:
    """Work that looks at `asked` by itself, or is so short that it is finished."""
    global _patient
    before, _patient = _patient, True
    try:
        yield
    finally:
        _patient = before


def ending() -> None:
    """From here on the signals are not heeded: the process ends for a reason of its own."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def asked() -> str | None:
    """Name of the signal that this process has got, if any."""
    return _asked


def say(sentence: str) -> None:
    """A line on stderr, past all buffers: whoever reads it may be gone already, which must not change the exit code."""
    with suppress(OSError):
        sys.stderr.flush()
    with suppress(OSError):
        os.write(2, f"distillery: {sentence}\n".encode())


def _take(number: int, _: FrameType | None) -> None:
    global _asked
    _asked = signal.Signals(number).name
    if not _patient:
        raise StoppedError(f"stopped by {_asked} between two steps; nothing is lost, run the same command again.")
