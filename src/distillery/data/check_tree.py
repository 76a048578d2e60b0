"""A look at every entry of a dataset's folder, without opening one: a digest of what is there, and what cannot be."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_Directory = tuple[int, int]


@dataclass
class Tree:
    """What lies under a root.

    `digest` is a SHA-256 over the name, size, time of modification and time of change (ctime) of every file, links
    followed, hidden files too, hidden folders not. Equal digests of one root prove that no file was added, removed,
    renamed or written through the file system since: writing sets the time of change, which no program can set back.
    They say nothing of bytes that change without the system's knowledge (a failing disk, another mount of the same
    device), nor of a second writing within one tick of the system's clock; the hashes of a manifest do.
    """

    digest: str = ""
    files: int = 0
    bytes: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """Path -> what is wrong with it ("is a link to a folder around it, …"), for entries that no reader can use."""


def look_at_tree(root: Path) -> Tree:
    """Walks a folder, links to folders included; each real folder is entered once, so no knot of links is endless."""
    tree, sha = Tree(), hashlib.sha256()
    seen: set[_Directory] = set()
    pending: list[tuple[str, str, frozenset[_Directory]]] = [(os.fspath(root), "", frozenset())]
    while pending:
        folder, name, around = pending.pop()
        try:
            state = os.stat(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            tree.faults[folder] = f"cannot be read ({error.strerror})"
            sha.update(_line(name, "unreadable"))
            continue
        here = state.st_dev, state.st_ino
        sha.update(_line(name, "folder" if here not in seen else f"again {here}"))
        if here in seen:
            continue
        seen.add(here)
        for entry in entries:
            if entry.name.startswith(".") and entry.is_dir():
                continue  # no reader looks there, nor does a manifest; a file system may keep its history in one
            path, inner = entry.path, f"{name}/{entry.name}" if name else entry.name
            try:
                found = entry.stat()
            except OSError as error:
                if not entry.name.startswith("."):
                    tree.faults[path] = _broken(error)
                sha.update(_line(inner, "broken"))
                continue
            if stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in around | {here}:
                    tree.faults[path] = "is a link to a folder around it, which has no end"
                    sha.update(_line(inner, "loop"))
                else:
                    pending.append((path, inner, around | {here}))
                continue
            kind = _KINDS.get(stat.S_IFMT(found.st_mode))
            if kind is not None:
                tree.faults[path] = f"is {kind}, which no dataset has"
            tree.files += 1
            tree.bytes += found.st_size
            sha.update(_line(inner, f"{found.st_mode} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"))
    tree.digest = sha.hexdigest()
    return tree


def _line(name: str, what: str) -> bytes:
    return os.fsencode(name) + b"\0" + what.encode() + b"\n"


def _broken(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is a link to a file that does not exist"
    return f"cannot be read ({error.strerror})"
