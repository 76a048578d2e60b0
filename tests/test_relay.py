"""Signals that reach a job's first process alone, and the commands below it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distillery import relay

FIRST = """
import signal, subprocess, sys
from distillery import relay

relay.start()
signal.signal(signal.SIGTERM, lambda *_: print("first: waiting", flush=True))  # as Snakemake does, later
sys.exit(subprocess.run(["bash", "-c", sys.argv[1]]).returncode)
"""
COMMAND = """
import signal, sys, time

def leave(number, frame):
    print("command:", signal.Signals(number).name, flush=True)
    time.sleep(1)
    print("command: saved", flush=True)
    sys.exit(75)

signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGUSR1, leave)
print("command: ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", relay.WARNINGS, ids=lambda number: number.name)
@pytest.mark.parametrize("to_all", [False, True], ids=["to the first process", "to all processes"])
def test_a_warning_reaches_the_command_and_nobody_else_leaves(
    number: signal.Signals, to_all: bool, tmp_path: Path
) -> None:
    command = tmp_path / "command.py"
    command.write_text(COMMAND)
    log = tmp_path / "log"
    line = f"set -euo pipefail; {relay.SHIELD}{sys.executable} {command} 2>&1 | tee {log}"
    whole_lines = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    first = subprocess.Popen(
        [sys.executable, "-c", FIRST, line],
        env=whole_lines,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while "ready" not in (log.read_text() if log.exists() else ""):
        assert first.poll() is None
        time.sleep(0.02)
    (os.killpg if to_all else os.kill)(first.pid, number)
    said = first.communicate(timeout=30)[0]
    assert first.returncode == 75, "the command's status comes through the pipe"
    # In the log stands the command alone; on the way to the pipe the first process may speak in between. Told by the
    # batch system and by the relay, it may say so twice.
    lines = log.read_text().splitlines()
    assert set(lines) == {"command: ready", f"command: {number.name}", "command: saved"}
    assert lines.count("command: saved") == 1 and lines[-1] == "command: saved"
    assert ("first: waiting" in said) == (number == signal.SIGTERM)


def test_other_signals_stay_where_they_are() -> None:
    program = (
        "import signal; from distillery import relay\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored\n"
        "relay.start(); signal.raise_signal(signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in done.stderr


def test_elsewhere_than_in_the_main_thread_nothing_is_done() -> None:
    program = (
        "import signal, threading; from distillery import relay\n"
        "thread = threading.Thread(target=relay.start); thread.start(); thread.join()\n"
        "print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL, relay._kept)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "[]"]
