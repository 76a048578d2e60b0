"""Calls of DVC, and what its pointers stand for.

DVC locks the whole repository and gives up after three seconds; `--wait-for-lock` makes it wait for its turn.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from distillery.errors import UserError
from distillery.store.places import Part

_AGAIN = "mend that and run the same command again"


class Pointer(NamedTuple):
    """What a `.dvc` file says."""

    md5: str
    """Name of the listing of a folder in DVC's cache, with `.dir` at its end."""
    files: int


def call(root: Path, *arguments: str, shown: bool = False, remedy: str = _AGAIN) -> str:
    """Standard output of a DVC command.

    Args:
        root: Top folder of the project.
        arguments: Of the command.
        shown: Whether the user sees DVC's own progress, where there is a terminal.
        remedy: What to do if it fails.

    Raises:
        UserError: With the first line of what DVC said.
    """
    stderr = None if shown and sys.stderr.isatty() else subprocess.PIPE
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False)
    if done.returncode:
        lines = [line.removeprefix("ERROR: ") for line in (done.stderr or "").splitlines() if line.strip()]
        said = next(iter(lines), f"exit status {done.returncode}")
        raise UserError(f"`dvc {' '.join(arguments)}` failed ({said.rstrip('.')})", remedy=remedy)
    return done.stdout


def follow_git(root: Path) -> None:
    """DVC refuses to work outside git unless told; a project unpacked from an archive has no git."""
    local = root / ".dvc" / "config.local"
    has_git = any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))
    alone = local.is_file() and "no_scm = true" in local.read_text(encoding="utf-8")
    if not has_git and not alone:
        call(root, "config", "--local", "core.no_scm", "true")
    elif has_git and alone:
        call(root, "config", "--local", "--unset", "core.no_scm")


def settings(root: Path) -> dict[str, str]:
    """DVC's settings of all levels ("core.remote"), paths among them absolute."""
    lines = call(root, "config", "--list").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def cache(root: Path, known: dict[str, str]) -> Path:
    """Folder of DVC's cache, which several clones may share."""
    return Path(known.get("cache.dir", root / ".dvc" / "cache"))


def pointer(root: Path, name: str) -> Pointer | None:
    """What a `.dvc` file says; None where there is none that can be read, which DVC itself will complain of."""
    try:
        (entry,) = yaml.safe_load((root / name).read_text(encoding="utf-8"))["outs"]
        return Pointer(str(entry["md5"]), int(entry["nfiles"]))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


def listing(folder: Path, md5: str) -> Path:
    """File of the cache that lists a folder: a JSON list of {md5, relpath}."""
    return folder / "files" / "md5" / md5[:2] / md5[2:]


def entries(root: Path, folder: Path, part: Part) -> dict[str, str]:
    """Path, relative to the project -> MD5, of every file that DVC holds of a part.

    Args:
        root: Top folder of the project.
        folder: The cache.
        part: A part of a profile.

    Raises:
        UserError: If there is no pointer, or the listing it names is not in the cache or is none.
    """
    known = pointer(root, part.pointer)
    if known is None:
        raise UserError("says nothing of what DVC holds", file=root / part.pointer, remedy="publish, or restore, first")
    file = listing(folder, known.md5)
    try:
        rows = [(str(row["relpath"]), str(row["md5"])) for row in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "stands for a listing that is not in the cache or is damaged",
            file=root / part.pointer,
            place=known.md5,
            remedy="bring it there with `distillery restore`, or publish anew",
        ) from error
    found = {}
    for path, md5 in rows:
        if path.startswith(part.inside):
            inner = path.removeprefix(part.inside)
            if os.path.isabs(inner) or ".." in inner.split("/") or not re.fullmatch(r"[0-9a-f]{32}", md5):
                raise UserError(
                    f"lists {path!r}, which is no file of a folder", file=file, remedy="do not use this store"
                )
            found[f"{part.folder}/{inner}"] = md5
    return found
