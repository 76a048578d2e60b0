"""A real SLURM of one node for tests: its configuration, sockets, logs and state all lie in one folder.

To try it by hand: `python tests/cluster/slurm_node.py FOLDER` installs and starts it, says which variables make SLURM's
commands mean it, and stops it on Ctrl-C.

A SLURM that this machine may belong to is neither read nor touched: ports, keys and sockets are the node's own, and
whatever runs inside `Node.environment` talks to it alone.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
PACKAGES = ("munge", "slurm-wlm")
"""Debian's."""
SYSTEM = "/usr/sbin:/sbin"
"""Where the daemons lie, outside the path of ordinary users."""


def absent() -> list[str]:
    """Programs of SLURM that are not on this machine."""
    path = f"{os.environ['PATH']}:{SYSTEM}"
    return [name for name in (*DAEMONS, *CLIENTS) if shutil.which(name, path=path) is None]


def install() -> str | None:
    """Installs Debian's packages where that is possible.

    Returns:
        None when SLURM is there, else why it is not.
    """
    if not absent():
        return None
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"SLURM is not installed ({', '.join(absent())}), and only root can install it, by apt-get"
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=240"]  # another process of the tests may be at it
    for command in (["update"], ["install", "--no-install-recommends", *PACKAGES]):
        try:
            done = subprocess.run(
                [*apt, *command], env=variables, capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired:
            return f"apt-get {command[0]} did not end in 300 s, so SLURM could not be installed"
    if absent():
        return f"apt-get could not install {' and '.join(PACKAGES)}: {done.stderr.strip()[-300:]}"
    return None


class NotStartedError(RuntimeError):
    """The daemons do not run on this machine; what they said."""


@dataclass
class Node:
    """The daemons of one node, started by `start` and ended by `stop` through their process numbers."""

    folder: Path
    cpus: int = 4
    """What SLURM believes in, whatever the machine has."""
    settings: str = ""
    """Further lines of slurm.conf."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which SLURM's commands mean this node."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        path = f"{self.folder}/bin:{os.environ['PATH']}:{SYSTEM}"
        return mine | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def start(self) -> None:
        """Configures and starts the daemons, and waits until the node takes jobs."""
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        # Inside a job the executor plugin calls srun without SLURM's variables, that of the configuration among them.
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        (self.folder / "slurm.conf").write_text(self._configuration())
        # Two GPUs that are counted and handed out, with nothing behind them.
        for number in range(2):
            (self.folder / f"gpu{number}").touch()
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        # --force: a test's folder is closed to others, which munged would rather not have.
        files = {
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{name}={self.folder / file}" for name, file in files.items()]
        self._run("munged", "--foreground", "--force", *options)
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munged")
        self._run("slurmctld", "-D")
        self._run("slurmd", "-D")
        self._wait(lambda: self.command("sinfo", "-h", "-o", "%T") in ("idle", "mixed"), "slurmctld or slurmd")

    def stop(self) -> None:
        """Ends all jobs, then the daemons, the one that started last first."""
        if len(self.processes) > 1:
            self.command("scancel", "--full", "--user", getpass.getuser())
            deadline = time.monotonic() + 20
            while self.command("squeue", "-h") and time.monotonic() < deadline:
                time.sleep(0.2)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def command(self, *words: str) -> str:
        """What a command of SLURM says; empty if it fails."""
        done = subprocess.run(list(words), env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def _configuration(self) -> str:
        name, user = socket.gethostname().split(".")[0], getpass.getuser()
        control, node = _free_ports(2)
        return f"""\
ClusterName=local
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
MpiDefault=none
KillWait=20
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
{self.settings}
NodeName={name} NodeAddr=127.0.0.1 CPUs={self.cpus} RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={name} Default=YES MaxTime=INFINITE State=UP
"""

    def _run(self, *words: str) -> None:
        with (self.folder / f"{words[0]}.out").open("wb") as said:
            process = subprocess.Popen(
                list(words), env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
            )
        self.processes.append(process)

    def _wait(self, ready: Callable[[], bool], what: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                said = "".join(file.read_text(errors="replace")[-1500:] for file in sorted(self.folder.glob("*.out")))
                raise NotStartedError(f"{what} did not start: {said}")
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def main(folder: str) -> None:
    """Runs a node until Ctrl-C or SIGTERM."""
    missing = install()
    if missing:
        raise SystemExit(f"{missing}.")
    node = Node(Path(folder).resolve(), cpus=os.cpu_count() or 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        node.start()
        print("In the shell from which Snakemake is to submit:")
        print(f"  export SLURM_CONF={node.environment['SLURM_CONF']} PATH={node.folder}/bin:$PATH:{SYSTEM}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2 or Path(sys.argv[1]).exists():
        raise SystemExit("Give a folder that does not exist yet: python tests/cluster/slurm_node.py /tmp/slurm")
    main(sys.argv[1])
