"""Room on the disk: asked for before long work, and missed in one sentence when it runs out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distillery.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def require_room(path: Path, needed: int) -> None:
    """Raises a `UserError` if fewer than `needed` bytes are free where `path` is to be written."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"needs {gigabytes(needed)}, and {gigabytes(free)} are free on this disk",
            file=path,
            remedy="free some space, or choose a folder on another disk with --to, and run the same command again",
        )


@contextmanager
def full_disk(path: Path, kept: str) -> Iterator[None]:
    """Turns a full disk or a forbidden folder into a sentence; `kept` says what is not lost."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"no space left on the disk; {kept}", file=path, remedy="free some space and run the same command again"
            ) from error
        if error.errno in _FORBIDDEN:
            raise UserError(
                "cannot be written, permission denied", file=path, remedy="check the permissions of its folder"
            ) from error
        raise


def gigabytes(count: int) -> str:
    """A number of bytes in words (units of 1000)."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
