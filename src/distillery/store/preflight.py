"""What must hold before DVC is let near the outputs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from distillery.errors import UserError
from distillery.store import dvc


def check(root: Path) -> dict[str, str]:
    """Makes sure that DVC is there, knows whether there is git, and gives files that jobs can write anew.

    Returns:
        DVC's settings.

    Raises:
        UserError: If DVC is missing or its cache would break reruns.
    """
    if importlib.util.find_spec("dvc") is None:
        raise UserError("DVC is not installed", remedy='install the workflow extra: pip install "distillery[workflow]"')
    if not (root / ".dvc").is_dir():
        raise UserError("does not exist", file=root / ".dvc", remedy="restore it from the repository")
    dvc.follow_git(root)
    known = dvc.settings(root)
    types = known.get("cache.type", "")
    if "hardlink" in types:
        raise UserError(
            "makes DVC write-protect the outputs, so that Snakemake cannot rerun a job",
            file=root / ".dvc" / "config",
            place=f"cache.type = {types}",
            remedy="run `dvc config cache.type reflink,copy` (at the level where it was set: --local, --global)",
        )
    return known


def check_idle(root: Path) -> None:
    """Makes sure that no run of Snakemake is using the files that are about to be replaced."""
    locks = root / ".snakemake" / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        raise UserError(
            "Snakemake is running here, or was killed",
            file=locks,
            remedy="wait for its end; if there is none, run `snakemake --unlock` and then the same command again",
        )
