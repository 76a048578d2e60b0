"""Several ranks on this machine: processes with the environment that torchrun would give them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
_START = (
    "import sys; from importlib import import_module; from pathlib import Path; "
    f"sys.path.insert(0, {str(TESTS)!r}); "
    "getattr(import_module(sys.argv[1]), sys.argv[2])(*map(Path, sys.argv[3:]))"
)


def start(*command: str, ranks: int = 2, **variables: str) -> list[subprocess.Popen[str]]:
    """Starts a command once a rank; variables are added to the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    usual = {**os.environ, "OMP_NUM_THREADS": "1", **place, "LOCAL_WORLD_SIZE": str(ranks)}
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env={**usual, "RANK": str(rank), "LOCAL_RANK": str(rank), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]


def ended(processes: list[subprocess.Popen[str]], timeout: float = 120) -> list[tuple[int, str]]:
    """Exit code and stderr of every rank; none outlives the call."""
    try:
        return [
            (process.returncode, error) for process in processes for _, error in [process.communicate(None, timeout)]
        ]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def together(module: str, function: str, *paths: Path, ranks: int = 2) -> None:
    """Runs a function of a test module in every rank; a rank that fails fails the test with what it said."""
    for rank, (code, error) in enumerate(ended(start("-c", _START, module, function, *map(str, paths), ranks=ranks))):
        assert code == 0, f"rank {rank}: {error[-3000:]}"
