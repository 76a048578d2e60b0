"""What checks said before: a second check of an unchanged root costs one look at its folder.

An entry lies in the user's cache folder, one for each (root, options), so the cache does not grow with every change.
It is valid for one key: the tree's digest (what that proves stands at `check_tree.Tree`), the options, the code that
checked, and the versions of the libraries that decode. Entries only save time: one that is damaged or cannot be
written is as good as none.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy
import PIL

from distillery.data.cache import cache_folder
from distillery.data.check_report import CheckOptions, as_json, from_json
from distillery.data.check_tree import Tree
from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file, write_json
from distillery.sources import closure

_FORMAT = "v1"


def key_of(tree: Tree, options: CheckOptions, modules: tuple[str, ...]) -> str:
    """What an entry must have been made under to be valid.

    Args:
        tree: Of the root.
        options: Of the check.
        modules: Whose source files, with all that they import, decide what the check says.
    """
    code = [sha256_of_file(file) for file in closure(*modules)]
    libraries = [numpy.__version__, PIL.__version__]
    return sha256_of({"tree": tree.digest, "options": asdict(options), "code": code, "libraries": libraries})


def entry_file(benchmark: str, root: Path, options: CheckOptions) -> Path | None:
    """Where the entry lies; None where nothing is cached."""
    folder = cache_folder()
    if folder is None:
        return None
    place = sha256_of({"root": str(root.resolve()), "options": asdict(options)})[:24]
    return folder / "checks" / _FORMAT / f"{benchmark}-{place}.json"


def load(file: Path | None, key: str, root: Path) -> CheckReport | None:
    """The report of an entry that was made under this key; None if there is none, or it is damaged."""
    if file is None:
        return None
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        return from_json(entry["report"], root) if entry["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def store(file: Path | None, key: str, report: CheckReport, options: CheckOptions) -> None:
    """Writes an entry if that is possible."""
    if file is None:
        return
    try:
        write_json(file, {"key": key, "report": as_json(report, options)})
    except (UserError, OSError):  # read-only or full: the next check is made anew
        return
