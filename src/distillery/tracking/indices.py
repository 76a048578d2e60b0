"""The index of a run: a JSON file beside the folder of result files, of the same path with `.json` appended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.files import read_json

_KEYS = {"benchmark", "tracker", "speed", "sequences"}


def absolute(results: Path) -> Path:
    """The folder with a name of its own, which `.` and `..` have not."""
    return Path(os.path.abspath(results))


def index_of(results: Path) -> Path:
    """The index that belongs to a results folder."""
    return Path(f"{absolute(results)}.json")


def read_index(path: Path) -> dict[str, Any] | None:
    """The index at `path`; None if nothing is there, or anything else."""
    try:
        found = read_json(path)
    except (UserError, OSError):
        return None
    if not isinstance(found, dict) or not found.keys() >= _KEYS or not isinstance(found["sequences"], dict):
        return None
    return found


def refuse_index(path: Path | None) -> None:
    """Keeps `--out` from a run's index.

    Raises:
        UserError: If `path` is one.
    """
    if path is not None and read_index(path) is not None:
        raise UserError(
            "is the index of a results folder and would be overwritten", file=path, remedy="choose another --out"
        )
