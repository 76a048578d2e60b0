"""Which folder is the root of a set: the one that holds the paths by which the register knows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

_DEPTH = 3
"""How many folders deep a root is looked for: archives wrap what they hold in one or two."""


def lacking(folder: Path, marks: Iterable[str]) -> list[str]:
    """The marks that `folder` does not hold; `a | b` is held by either, a pattern by any path that fits."""
    return [mark for mark in marks if not any(_there(folder, choice.strip()) for choice in mark.split("|"))]


def holds(folder: Path, marks: Iterable[str]) -> bool:
    """Whether a folder holds all of a set's marks."""
    return folder.is_dir() and not lacking(folder, marks)


def find_root(folder: Path, marks: Sequence[str]) -> Path | None:
    """The shallowest folder at or below `folder` that holds all marks; None if none does, or two equally shallow do."""
    level = [folder]
    for _ in range(_DEPTH + 1):
        found = [candidate for candidate in level if holds(candidate, marks)]
        if found:
            return found[0] if len(found) == 1 else None
        level = [path for parent in level for path in _folders(parent)]
    return None


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _there(folder: Path, pattern: str) -> bool:
    if not set(pattern) & set("*?["):
        return (folder / pattern).exists()
    return any(True for path in folder.glob(pattern) if not path.name.startswith("."))
