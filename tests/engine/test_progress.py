from __future__ import annotations

import io

import pytest

from distillery.engine import progress
from distillery.engine.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_an_interval_with_rate_and_remaining_time(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress("train", 100, done=10, stream=log, interval=60) as bar:
        for _ in range(40):
            clock[0] += 3
            bar.update(note="loss 0.5")
    lines = log.getvalue().splitlines()
    # 20 steps in 60 s: a third of a step a second, so 70 steps are left after the first line.
    assert lines[0] == "train: 30/100 (30 %), 0.33/s, 3.5 min left, loss 0.5"
    assert lines[1] == "train: 50/100 (50 %), 0.33/s, 2.5 min left, loss 0.5"
    assert lines[2:] == ["train: 50/100 done in 120.0 s"]


def test_the_callback_form_sets_done_and_total(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress("write", 0, stream=log) as bar:
        bar(3, 8)
        bar(8, 8)
        assert (bar.done, bar.total) == (8, 8)
    assert log.getvalue() == "write: 8/8 done in 0.0 s\n"


def test_nothing_is_said_to_be_done_after_an_error(clock: list[float]) -> None:
    log = io.StringIO()
    with pytest.raises(RuntimeError), Progress("train", 5, stream=log):
        raise RuntimeError
    assert log.getvalue() == ""


def test_no_rate_without_steps(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress("wait", 0, stream=log, interval=10) as bar:
        clock[0] += 20
        bar.update(0)
    assert log.getvalue().splitlines()[0] == "wait: 0/0 (100 %), 0.00/s, remaining time unknown"


def test_a_terminal_gets_a_bar() -> None:
    terminal = Terminal()
    with Progress("train", 4, done=1, stream=terminal) as bar:
        bar(4, 4)
        bar.update(0, note="loss 1")
    assert "train: 100%" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()
