"""The last step: data and checkpoints under DVC, so that git carries their hashes and DVC their bytes.

Snakemake runs, DVC stores. DVC locks the whole repository, so nothing here may run beside other jobs.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from distillery.errors import UserError
from distillery.files import write_json

TRACKED = ("data", "checkpoints")
"""Folders under DVC; each has its pointer `<folder>.dvc` at top level."""


def publish(profile: str, out: Path, *, root: Path = Path()) -> dict[str, Any]:
    """Adds `data` and `checkpoints` to DVC, makes sure that nothing of them is left out, and records what was stored.

    Both folders are stored whole, with the profiles that ran before; the record holds the state at the end of this run.

    Args:
        profile: Name of the profile that has just run.
        out: JSON file to write: {profile, stored: {folder: {pointer, md5, files, bytes}}}.
        root: Top folder of the project, where `.dvc` lies.

    Returns:
        The record.

    Raises:
        UserError: If DVC is missing, is set up in a way that breaks reruns, or is not clean at the end.
    """
    _preflight(root)
    _dvc(root, "add", *TRACKED)
    pointers = [f"{folder}.dvc" for folder in TRACKED]
    changed = json.loads(_dvc(root, "status", "--json", *pointers))
    if changed:
        raise UserError(
            f"changed while it was being stored: {', '.join(sorted(changed))}",
            file=root / sorted(changed)[0],
            remedy="let nothing else write there and run the same command again",
        )
    record = {"profile": profile, "stored": {folder: _pointer(root, folder) for folder in TRACKED}}
    write_json(out, record)
    return record


def _preflight(root: Path) -> None:
    if importlib.util.find_spec("dvc") is None:
        raise UserError("DVC is not installed", remedy='install the workflow extra: pip install "distillery[workflow]"')
    if not (root / ".dvc").is_dir():
        raise UserError("does not exist", file=root / ".dvc", remedy="restore it from the repository")
    for folder in TRACKED:
        if not (root / folder).is_dir():
            raise UserError("does not exist", file=root / folder, remedy="run the rules that write it")
    _follow_git(root)
    types = _dvc(root, "config", "cache.type", allowed=(0, 251)).strip()
    if "hardlink" in types:
        raise UserError(
            "makes DVC write-protect the outputs, so that Snakemake cannot rerun a job",
            file=root / ".dvc" / "config",
            place=f"cache.type = {types}",
            remedy="run `dvc config cache.type reflink,copy` (at the level where it was set: --local, --global)",
        )


def _follow_git(root: Path) -> None:
    """DVC refuses to work outside git unless told; a project unpacked from an archive has no git."""
    local = root / ".dvc" / "config.local"
    has_git = any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))
    alone = local.is_file() and "no_scm = true" in local.read_text(encoding="utf-8")
    if not has_git and not alone:
        _dvc(root, "config", "--local", "core.no_scm", "true")
    elif has_git and alone:
        _dvc(root, "config", "--local", "--unset", "core.no_scm")


def _pointer(root: Path, folder: str) -> dict[str, Any]:
    name = f"{folder}.dvc"
    (entry,) = yaml.safe_load((root / name).read_text(encoding="utf-8"))["outs"]
    return {"pointer": name, "md5": entry["md5"], "files": entry["nfiles"], "bytes": entry["size"]}


def _dvc(root: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    """Standard output of a DVC command; `--wait-for-lock` because its own time limit is three seconds."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        said = next(iter(lines), f"exit status {done.returncode}")
        raise UserError(
            f"`dvc {' '.join(arguments)}` failed ({said.rstrip('.')})",
            remedy="mend that and run the same command again",
        )
    return done.stdout
