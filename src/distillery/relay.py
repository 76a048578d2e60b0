"""Passes a batch system's warnings on to the commands of a job.

Before a job loses its node (its time limit, `scancel`, preemption) the batch system sends SIGTERM, or SIGUSR1 where it
was asked to, and SIGKILL half a minute later. Some tell every process of a job. SLURM, where it keeps a job in a
control group, tells only the process that it started itself (`proctrack_p_signal` of its plugin proctrack/cgroup):
Snakemake's, which on SIGTERM waits for the running command and tells it nothing, and on SIGUSR1 dies.
"""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import suppress

WARNINGS = (signal.SIGTERM, signal.SIGUSR1)
SHIELD = "trap '' TERM USR1; "
"""Start of a shell command that shields the shell, and `tee` in its pipe, from what only the command inside heeds."""
_kept: list[socket.socket] = []
"""Both ends live as long as the process: the interpreter knows the writing one by its number alone."""


def start() -> None:
    """Sends every warning that this process gets to all processes below it, and outlives SIGUSR1.

    What the process itself does on SIGTERM stays as it is, whether it is decided before or after this call. To be
    called by the main thread; elsewhere signals cannot be received and nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    _kept[:] = reader, writer
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    threading.Thread(target=_pass_on, args=(reader,), name="relay", daemon=True).start()


def _pass_on(reader: socket.socket) -> None:
    import psutil

    this = psutil.Process()
    while number := reader.recv(1):
        if number[0] not in WARNINGS:
            continue
        for process in this.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number[0])
