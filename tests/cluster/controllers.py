"""Snakemake as it runs on a login node: started, watched and killed by tests."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cluster.slurm_node import Node
from project import Project, environment

IMPATIENT = """
import sys
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.next_seconds_between_status_checks = property(lambda self: 2, lambda self, seconds: None)
sys.exit(main())
"""
"""Snakemake, but for one thing: the executor looks at its jobs every two seconds, not ever less often."""

ON_SLURM = (
    *("--profile", "profiles/slurm", "--latency-wait", "10"),
    # No job gets more cores than the node has; and there is no accounting.
    *("--cores", "4"),
    *("--slurm-status-command", "squeue", "--slurm-no-account"),
)
Found = TypeVar("Found")
PATIENCE = 1800.0
"""Seconds after which something is wrong, however busy the machine is."""


def until(look: Callable[[], Found], what: str, pause: float = 0.1) -> Found:
    """What `look` finds as soon as it finds anything."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(pause)
    return found


@dataclass
class Controller:
    """One Snakemake process that submits jobs of a project to SLURM."""

    project: Project
    node: Node
    arguments: tuple[str, ...]
    said: Path = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.said = self.project.root / "controller.log"
        self.start()

    def start(self) -> None:
        """Starts it, or starts it again."""
        with self.said.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", IMPATIENT, *self.arguments, *ON_SLURM],
                cwd=self.project.root,
                env=environment() | self.node.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def finish(self) -> str:
        """Waits for its end, which must be a good one; what it said."""
        try:
            status = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"waited in vain for these jobs:\n{self.node.command('squeue', '--long')}") from None
        text = self.said.read_text(errors="replace")
        assert status == 0, text[-4000:] + self.slurm_logs()
        return text

    def slurm_logs(self) -> str:
        """The end of what jobs that failed have said."""
        logs = sorted((self.project.root / "logs" / "slurm").rglob("*.log"))
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def jobs(self) -> list[str]:
        """SLURM's numbers of the jobs that it has submitted."""
        return re.findall(r"SLURM jobid (\d+)", self.said.read_text(errors="replace"))

    def run_id(self) -> str:
        """The name that SLURM knows all its jobs by."""
        found = re.search(r"SLURM run ID: (\S+)", self.said.read_text(errors="replace"))
        assert found
        return found[1]

    def kill(self) -> None:
        """Ends it without a chance to do anything."""
        self.process.kill()
        self.process.wait()
