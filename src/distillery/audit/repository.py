"""The state of the code: its commit, and whether the files that jobs ran are those of the commit."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WATCHED = ("src", "workflow", "Snakefile", "config", "profiles", "requirements.lock", "pyproject.toml")
"""What decides results; pointers of DVC and documents do not."""


def state(root: Path, code: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Commit and differences from it.

    Args:
        root: Top folder of the project.
        code: Path and sha256 of each source file as a job ran it, once or several times.

    Returns:
        {commit, dirty, changed}: `changed` lists the watched files that differ from the commit, now or when a job ran.
        Without git all are None, None and [].
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "changed": []}
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *WATCHED) or ""
    changed = {line[3:].split(" -> ")[-1].strip('"') for line in status.splitlines()}
    changed |= {path for path, digest in set(code) if sha256_at(root, "HEAD", path) != digest}
    return {"commit": commit.strip(), "dirty": bool(changed), "changed": sorted(changed)}


def sha256_at(root: Path, commit: str, path: str) -> str | None:
    """SHA-256 of a file in a commit, or None where it is not there."""
    done = subprocess.run(["git", "cat-file", "blob", f"{commit}:{path}"], cwd=root, capture_output=True, check=False)
    return hashlib.sha256(done.stdout).hexdigest() if done.returncode == 0 else None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
