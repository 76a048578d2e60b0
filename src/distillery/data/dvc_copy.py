"""A set out of a DVC cache or remote, where somebody stored it with `dvc add datasets/NAME`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from distillery.errors import UserError


def restore(target: Path, revision: str = "") -> str:
    """Brings back a folder that DVC knows.

    Args:
        target: The folder; its pointer is `<target>.dvc`. It must not exist.
        revision: Commit, branch or tag of the project's history whose copy is wanted; "" for the pointer that is there.

    Returns:
        What was restored, in words for a record.

    Raises:
        UserError: If DVC is missing, knows no such folder, or cannot get its content.
    """
    if importlib.util.find_spec("dvc") is None:
        raise UserError("DVC is not installed", remedy='install the workflow extra: pip install "distillery[workflow]"')
    pointer = target.with_name(f"{target.name}.dvc")
    project = _project(target)
    inside = str(target.resolve().relative_to(project))
    if revision:
        _dvc(project, "get", str(project), inside, "--rev", revision, "--out", inside)
        return f"{inside} of {revision}"
    if not pointer.is_file():
        raise UserError(
            "does not exist, so DVC knows no copy of this set",
            file=pointer,
            remedy=f"restore it from git, or fetch the set another way and store it with `dvc add {target}`",
        )
    _dvc(project, "--wait-for-lock", "pull", str(pointer.resolve().relative_to(project)))
    return f"{inside} as in {pointer.name}"


def _project(target: Path) -> Path:
    for folder in target.resolve().parents:
        if (folder / ".dvc").is_dir():
            return folder
    raise UserError(
        "lies in no project with DVC",
        file=target,
        remedy="choose a folder in the project, or fetch the set another way",
    )


def _dvc(project: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        said = " ".join(lines)[:300].rstrip(".") or f"exit status {done.returncode}"
        raise UserError(
            f"`dvc {' '.join(arguments)}` failed ({said})", remedy="mend that, or fetch the set another way"
        )
