"""Making numbers anew: metrics from raw predictions, tables from metrics, and comparing the bytes.

The commands are those of the manifest, repeated as `replay` does it: only scoring and tables may run, and everything
they write goes to a temporary folder.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distillery.audit.findings import Finding
from distillery.audit.graph import label_of
from distillery.audit.project import Project
from distillery.audit.replay import run, words_of

COMMANDS = ("score-all", "tables")
"""Commands that an audit repeats: they need no network of ours, no GPU, and seconds."""
_LIMIT_S = 600


def recompute(project: Project, progress: Callable[[str], None] | None = None) -> list[Finding]:
    """Repeats scoring and tables of a run.

    Args:
        project: With all predictions and metrics.
        progress: Called with the name of each job when it is done.

    Returns:
        One finding for each file whose bytes differ, with the cells that do, and one for each job that fails.
    """
    jobs = {name: words for name, job in project.manifest.jobs.items() if (words := words_of(job["command"], COMMANDS))}

    def one(name: str) -> list[Finding]:
        found = _repeat(project, name, jobs[name])
        if progress:
            progress(name)
        return found

    with ThreadPoolExecutor(project.workers) as pool:
        return [finding for found in pool.map(one, jobs) for finding in found]


def _repeat(project: Project, name: str, words: list[str]) -> list[Finding]:
    outputs = project.manifest.jobs[name]["outputs"]
    with tempfile.TemporaryDirectory(prefix="distillery-audit-") as folder:
        redirected = _redirect(words, outputs, Path(folder))
        if redirected is None:
            return [Finding(name, "names outputs that its command does not write", cells=_cells(project, outputs))]
        said = run(project.root, redirected, timeout_s=_LIMIT_S)
        if said is not None:
            return [Finding(name, f"cannot be repeated ({said})", cells=_cells(project, outputs))]
        return [finding for path in outputs for finding in _compare(project, path, Path(folder, path))]


def _redirect(words: list[str], outputs: list[str], folder: Path) -> list[str] | None:
    """The words with every output below `folder`; None if one of them is not among the words."""
    folders = {os.path.dirname(path) for path in outputs}
    left = set(outputs)
    changed = []
    for place, word in enumerate(words):
        name, equals, value = word.rpartition("=")
        if value in left:
            left.discard(value)
            word = f"{name}{equals}{folder / value}"
        elif place and words[place - 1] == "--out-dir" and word in folders:
            left -= {path for path in outputs if os.path.dirname(path) == word}
            word = str(folder / word)
        elif word.startswith("--out"):
            pass
        elif place and words[place - 1].startswith("--out"):
            return None
        changed.append(word)
    return None if left else changed


def _compare(project: Project, path: str, made: Path) -> list[Finding]:
    """One finding if what was made now is not, byte for byte, what lies in the project."""
    try:
        there, anew = (project.root / path).read_bytes(), made.read_bytes()
    except FileNotFoundError as error:
        lost = "is gone" if str(error.filename) != str(made) else "is not made any more"
        return [project.finding(path, lost)]
    if there == anew:
        return []
    cells = changed_cells(anew, there) if path.endswith(".csv") else []
    named = tuple(f"table {Path(path).stem}: {cell}" for cell, _, _ in cells)
    expected, found = cells[0][1:] if cells else (None, None)
    problem = "is not what its inputs give"
    return [Finding(path, problem, expected, found, named or project.graph.cells_of(path))]


def changed_cells(expected: bytes, found: bytes) -> list[tuple[str, str, str]]:
    """(row and column, expected, found) of each cell of a CSV that differs."""
    old, new = (_rows(content) for content in (expected, found))
    cells = [
        (f"{label_of(before)}, {column}", str(before.get(column)), str(after.get(column)))
        for before, after in zip(old, new, strict=False)
        for column in before
        if before.get(column) != after.get(column)
    ]
    if len(old) != len(new):
        cells.append(("number of rows", str(len(old)), str(len(new))))
    return cells


def _rows(content: bytes) -> list[dict[str, Any]]:
    try:
        return list(csv.DictReader(io.StringIO(content.decode())))
    except (UnicodeDecodeError, csv.Error):
        return []


def _cells(project: Project, outputs: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell for path in outputs for cell in project.graph.cells_of(path)))
