"""What an archive must contain: the register's hashes, or those it had when it was first used (`*.lock.json`).

The lock file is committed, so that everybody who fetches a set later gets the same bytes or is told.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from distillery.config.registry import DEFAULT, Archive
from distillery.errors import UserError
from distillery.files import read_json, write_json


class Content(NamedTuple):
    """What a file contains."""

    size: int
    """Length in bytes."""
    sha256: str
    """In hex."""


class Pins:
    """The lock file of a register.

    Args:
        registry: The register's file; the lock file lies beside it, `datasets.lock.json` beside `datasets.yaml`.
    """

    def __init__(self, registry: Path = DEFAULT) -> None:
        self.registry = registry
        self.file = registry.with_suffix(".lock.json")

    def known(self, dataset: str, archive: Archive) -> tuple[int | None, bool]:
        """Length of an archive in bytes, None if nobody knows it, and whether a hash of it is known."""
        pin = self._read().get(dataset, {}).get(archive.name, {})
        hashed = bool(pin) or any((archive.sha256, archive.sha1, archive.md5))
        return archive.size or pin.get("size"), hashed

    def advice(self, dataset: str, archive: Archive) -> str:
        """Words for an archive whose length is not the one that is known: who says so, and what to do."""
        place = self.registry if archive.size is not None else self.file
        return f" (so says {place}; {_trust(dataset, archive, place)})"

    def verify(self, dataset: str, archive: Archive, file: Path) -> Content:
        """Compares a file with what is known of it, and pins what was not known.

        Raises:
            UserError: If it differs: with both hashes and what to do. Nothing is removed.
        """
        pin = self._read().get(dataset, {}).get(archive.name, {})
        found = _digests(file, [kind for kind in ("sha1", "md5") if getattr(archive, kind)])
        content = Content(int(found["size"]), found["sha256"])
        for kind, wanted, place in _wanted(archive, pin, self.registry, self.file):
            same = found[kind] == wanted if kind == "size" else found[kind].startswith(wanted)
            if not same:
                raise _differs(dataset, archive, file, kind, wanted, found[kind], place)
        if not pin:
            with exclusive(self.file.parent, wait=True):
                pins = self._read()
                pins.setdefault(dataset, {})[archive.name] = content._asdict()
                write_json(self.file, pins)
        return content

    def _read(self) -> dict[str, Any]:
        if not self.file.is_file():
            return {}
        pins: dict[str, Any] = read_json(self.file)
        sound = isinstance(pins, dict) and all(
            isinstance(row, dict)
            and all(isinstance(pin, dict) and {"size", "sha256"} <= set(pin) for pin in row.values())
            for row in pins.values()
        )
        if not sound:
            raise UserError("is not a lock file of datasets", file=self.file, remedy="restore it from the repository")
        return pins


def _wanted(archive: Archive, pin: dict[str, Any], registry: Path, lock: Path) -> Iterator[tuple[str, Any, Path]]:
    """(kind, value, file that says so) of everything that is known; a shorter hash is compared as a beginning."""
    told: dict[str, Any] = {"sha256": archive.sha256 or archive.sha256_prefix, "sha1": archive.sha1, "md5": archive.md5}
    told |= {"size": archive.size}
    yield from ((kind, value, registry) for kind, value in told.items() if value is not None)
    yield from ((kind, pin[kind], lock) for kind in ("sha256", "size") if kind in pin)


def _differs(dataset: str, archive: Archive, file: Path, kind: str, wanted: Any, found: Any, place: Path) -> UserError:
    names = {"size": "size", "sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5"}
    return UserError(
        f"is not the archive that was expected: its {names[kind]} is {found}, and {place} says {wanted}",
        file=file,
        remedy=f"delete it and run the same command again to get it anew; {_trust(dataset, archive, place)}",
    )


def _trust(dataset: str, archive: Archive, place: Path) -> str:
    change = "remove the entry" if place.suffix == ".json" else "correct the row"
    return f"if its publishers changed it and you trust the change, {change} {dataset}.{archive.name} in {place}"


def _digests(file: Path, others: list[str]) -> dict[str, Any]:
    """Size and SHA-256 of a file, and other digests, in one pass."""
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in ("sha256", *others)}
    size = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            size += len(block)
            for digest in digests.values():
                digest.update(block)
    return {"size": size} | {kind: digest.hexdigest() for kind, digest in digests.items()}


@contextmanager
def exclusive(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds a folder against other processes; the lock ends with the process, however that ends, and leaves no file.

    Where the file system knows no locks (some network disks), nothing is held.

    Raises:
        UserError: If another process holds it and is not waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise UserError(
                "is in use by another process that does the same", file=folder, remedy="wait until it has ended"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EBADF, errno.ENOTSUP, errno.EINVAL):
                raise
        yield
    finally:
        os.close(handle)
