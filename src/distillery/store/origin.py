"""Which code made the results: the commit, and the files on which the decision to run a job again depends."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from distillery.files import sha256_of_file
from distillery.store.history import Records

_MADE = ("data/", "checkpoints/", "results/", "recordings/", "logs/")
_WORKFLOW = ("Snakefile", "environment.yml", "workflow/rules/*.smk", "profiles/default/*.yaml")


class Commit(NamedTuple):
    """State of the checkout.

    Attributes:
        name: Full hash, or None where there is no git.
        changed: Tracked files that differ from it; pointers of DVC's, which publishing changes, are not counted.
    """

    name: str | None
    changed: list[str]


def commit(root: Path) -> Commit:
    """The commit that is checked out."""
    name = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=no", "--no-renames", "-z") or ""
    changed = [entry[3:] for entry in status.split("\0") if entry and not entry.endswith(".dvc")]
    return Commit(name.strip() if name else None, changed)


def code(root: Path, records: Records, config: str) -> dict[str, str]:
    """File -> SHA-256 of what Snakemake compares to decide whether these jobs run again: sources, rules, config."""
    declared = {file for record in records.values() for file in record.get("input") or () if _is_code(file)}
    rules = {str(file.relative_to(root)) for pattern in _WORKFLOW for file in root.glob(pattern)}
    files = sorted(declared | rules | {config})
    return {file: sha256_of_file(root / file) for file in files if (root / file).is_file()}


def differing(root: Path, recorded: dict[str, str]) -> list[str]:
    """Files that are not here as they were recorded."""
    return [
        file
        for file, digest in sorted(recorded.items())
        if not (root / file).is_file() or sha256_of_file(root / file) != digest
    ]


def stale(root: Path, records: Records) -> str | None:
    """A source that was edited after a job ran on it, if there is one."""
    seen: dict[str, str] = {}
    for record in (record for output, record in records.items() if (root / output).is_file()):
        checksums: dict[str, Any] = record.get("input_checksums") or {}
        for file, checksum in checksums.items():
            if _is_code(file) and str(checksum).startswith("sha256:"):
                if file not in seen:
                    seen[file] = sha256_of_file(root / file) if (root / file).is_file() else ""
                if seen[file] != str(checksum).removeprefix("sha256:"):
                    return file
    return None


def _is_code(file: str) -> bool:
    return not file.startswith(_MADE) and not file.startswith(("/", ".."))


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return None
    return done.stdout if done.returncode == 0 else None
