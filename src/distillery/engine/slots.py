"""GPU slots: jobs that run side by side on one machine compute on different GPUs.

Snakemake counts GPUs but does not hand them out. Each job locks a file that stands for a GPU, for as long as it lives:
the lock ends with the process, however that ends, and nothing has to be cleaned up.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""GPUs that a process may see; where a scheduler has set it, its word counts."""
NAMED = "DISTILLERY_GPUS"
"""Variable with the GPUs to share, by index or UUID ("0,1"; empty: none); without it all that torch finds."""
_MOST = 64
_held: list[int] = []
"""Open files of this process's locks; closing one would give its GPU back."""


def take(devices: Sequence[str], count: int = 1, folder: Path | None = None) -> list[str]:
    """Locks GPUs for the life of this process: those with the fewest jobs, so free ones where there are any.

    It never waits: with more jobs than GPUs, jobs share them evenly. How many run at once is Snakemake's to say
    (`resources: gpu`).

    Args:
        devices: Names of all GPUs.
        count: How many different ones are wanted.
        folder: Where the locks lie; the same for all jobs of the machine. None is one of this user's own.

    Returns:
        As many of `devices` as wanted, or all; none if the folder is not to be trusted.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"distillery-gpus-{os.getuid()}"
    if not _own(folder):
        return []
    taken: list[str] = []
    for level in range(_MOST):
        for device in devices:
            if len(taken) < count and device not in taken and _lock(folder / f"{device.replace('/', '_')}.{level}"):
                taken.append(device)
        if len(taken) == min(count, len(devices)):
            break
    return sorted(taken, key=list(devices).index)


def named() -> list[str] | None:
    """The GPUs that the environment names to be shared, if it does."""
    value = os.environ.get(NAMED)
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _own(folder: Path) -> bool:
    """Makes the folder; False if it is another user's, who could hold every lock."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _lock(file: Path) -> bool:
    try:
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return False
    _held.append(opened)
    return True
