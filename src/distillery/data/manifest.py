"""The manifest of a dataset: every file with its hash, in one small file that jobs take as their input.

A folder's time stamp says nothing of its content; the manifest's bytes change exactly when the content does.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.files import read_json, sha256_of_file


def build(root: Path, *, benchmark: str, counts: dict[str, int], workers: int = 2) -> dict[str, Any]:
    """Hashes every file under `root` (links to folders are followed, hidden files and folders left out).

    Returns:
        {benchmark, counts, bytes, files: {relative path: [sha256, size]}} with sorted paths.
    """
    paths = []
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths += [Path(folder, name) for name in names if not name.startswith(".")]
    paths.sort()
    dangling = next((path for path in paths if not path.exists()), None)
    if dangling is not None:
        raise UserError("is a link to a file that does not exist", file=dangling, remedy="restore it or remove it")
    with ThreadPoolExecutor(workers) as pool:  # hashing releases the interpreter lock
        hashes = list(pool.map(sha256_of_file, paths))
    files = {
        str(path.relative_to(root)): [digest, path.stat().st_size] for path, digest in zip(paths, hashes, strict=True)
    }
    return {
        "benchmark": benchmark,
        "counts": counts,
        "bytes": sum(size for _, size in files.values()),
        "files": files,
    }


def dataset_root(manifest: Path) -> Path:
    """The dataset that a manifest describes: the folder beside it, of the same name.

    Raises:
        UserError: If the manifest or the folder is not there, or files listed in it are gone.
    """
    content = read_json(manifest)
    root = Path(manifest).with_suffix("")
    remedy = f"delete {manifest} and run snakemake again to make the dataset anew"
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise UserError("is not a dataset manifest", file=manifest, remedy=remedy)
    if not root.is_dir():
        raise UserError("the dataset's folder does not exist", file=root, remedy=remedy)
    # Presence is cheap to test and catches a half-deleted copy; content is the audit's business.
    missing = [name for name in content["files"] if not (root / name).is_file()]
    if missing:
        raise UserError(
            f"lacks {len(missing)} of {len(content['files'])} files, the first is {missing[0]}",
            file=root,
            remedy=remedy,
        )
    return root
