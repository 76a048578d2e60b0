"""DVC's hash of a folder, computed without DVC: a manifest names the data that DVC will hold before it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def folder_hash(files: Mapping[str, str]) -> str:
    """Hash of a folder as `dvc add` gives it (`outs[].md5` of its pointer).

    Args:
        files: Path within the folder, with slashes -> MD5 of the file.

    Returns:
        MD5 of the listing that DVC writes (a JSON list of {"md5", "relpath"}, sorted by path), then `.dir`.
    """
    rows = [{"md5": files[path], "relpath": path} for path in sorted(files)]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def hash_of(folder: Path, paths: Iterable[str], workers: int) -> str:
    """Hash of a folder that holds these files."""
    paths = list(paths)
    with ThreadPoolExecutor(workers) as pool:
        return folder_hash(dict(zip(paths, pool.map(lambda path: _md5(folder / path), paths), strict=True)))


def _md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
