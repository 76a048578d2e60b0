"""Progress of long work: a bar on a terminal, one line a minute in a log file."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm


class Progress:
    """Counts steps and tells rate and remaining time.

    Args:
        label: What is being done ("train siamfc/dim").
        total: Number of steps.
        done: Steps already done (after a resume).
        stream: Where to write; a terminal gets a bar, anything else a line every `interval` seconds.
        interval: Seconds between lines.
    """

    def __init__(
        self, label: str, total: int, *, done: int = 0, stream: TextIO | None = None, interval: float = 60.0
    ) -> None:
        self.label, self.total, self.done = label, total, done
        self._stream = stream or sys.stderr
        self._interval = interval
        self._begin = self._last = time.monotonic()
        self._initial = done
        self._bar = (
            tqdm(total=total, initial=done, desc=label, file=self._stream, dynamic_ncols=True)
            if self._stream.isatty()
            else None
        )

    def update(self, steps: int = 1, note: str = "") -> None:
        """Counts `steps` more; `note` is shown beside the rate."""
        self.done += steps
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(steps)
        elif time.monotonic() - self._last >= self._interval:
            self._line(note)

    def __call__(self, done: int, total: int) -> None:
        """Callback form: sets how much is done."""
        self.total = total
        if self._bar is not None:
            self._bar.total = total
        self.update(done - self.done)

    def _line(self, note: str) -> None:
        self._last = time.monotonic()
        rate = (self.done - self._initial) / max(self._last - self._begin, 1e-9)
        left = (self.total - self.done) / rate if rate > 0 else float("inf")
        remaining = f"{left / 60:.1f} min left" if left < float("inf") else "remaining time unknown"
        share = 100 * self.done / self.total if self.total else 100.0
        text = f"{self.label}: {self.done}/{self.total} ({share:.0f} %), {rate:.2f}/s, {remaining}"
        print(f"{text}, {note}" if note else text, file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            seconds = time.monotonic() - self._begin
            print(f"{self.label}: {self.done}/{self.total} done in {seconds:.1f} s", file=self._stream, flush=True)
