"""Making numbers anew: metrics from raw predictions, tables and verdicts from metrics, and comparing the bytes.

The commands are those of the manifest, repeated as `replay` does it: only scoring, tables and claims may run, and
everything they write goes to a temporary folder.
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
from distillery.audit.replay import inside, run, words_of
from distillery.errors import UserError

COMMANDS = ("score-all", "answer", "tables", "claims")
"""Commands that an audit repeats: they need no network of ours, no GPU, and seconds."""
WRITING = {"score-all": "--pairs", "answer": "--out", "tables": "--out-dir", "claims": "--out-dir"}
"""Command -> the option under which it is told what to write."""
REPEATED = ("metrics", "table", "claims")
"""Kinds of files that must come of a command that is repeated: no number is taken on trust."""
_LIMIT_S = 600


def recompute(
    project: Project, progress: Callable[[str], None] | None = None, kinds: tuple[str, ...] = REPEATED
) -> list[Finding]:
    """Repeats scoring, tables and claims of a run.

    Args:
        project: With all predictions and metrics.
        progress: Called with the name of each job when it is done.
        kinds: Kinds of files of which each must come of a command that is repeated.

    Returns:
        One finding for each file whose bytes differ, with the cells that do, one for each job that fails, and one for
        each file of these kinds that no command gives.
    """
    jobs = {name: words for name, job in project.manifest.jobs.items() if (words := words_of(job["command"], COMMANDS))}

    def one(name: str) -> list[Finding]:
        found = _repeat(project, name, jobs[name])
        if progress:
            progress(name)
        return found

    with ThreadPoolExecutor(project.workers) as pool:
        repeated = [finding for found in pool.map(one, jobs) for finding in found]
    given = {path for name in jobs for path in project.manifest.jobs[name]["outputs"]}
    return repeated + [
        project.finding(path, "was made by no command that an audit can repeat")
        for path, entry in sorted(project.manifest.artefacts.items())
        if entry["kind"] in kinds and path not in given
    ]


def _repeat(project: Project, name: str, words: list[str]) -> list[Finding]:
    outputs = project.manifest.jobs[name]["outputs"]
    with tempfile.TemporaryDirectory(prefix="distillery-audit-") as folder:
        try:
            redirected = _redirect(words, outputs, Path(folder))
        except UserError as error:
            return [Finding(name, f"cannot be repeated ({error.file} {error.problem})", cells=_cells(project, outputs))]
        if redirected is None:
            return [Finding(name, "names other outputs than its command writes", cells=_cells(project, outputs))]
        said = run(project.root, redirected, timeout_s=_LIMIT_S)
        if said is not None:
            return [Finding(name, f"cannot be repeated ({said})", cells=_cells(project, outputs))]
        return [finding for path in outputs for finding in _compare(project, path, Path(folder, path))]


def _redirect(words: list[str], outputs: list[str], folder: Path) -> list[str] | None:
    """The words with every output below `folder`; None if they are not told of each output, or of anything else."""
    folders = {os.path.dirname(path) for path in outputs}
    left = set(outputs)
    changed, option = words[:1], ""
    for word in words[1:]:
        if word.startswith("--"):
            option = word
        elif option == WRITING[words[0]]:
            name, equals, value = word.rpartition("=")
            if value not in (folders if option == "--out-dir" else left):
                return None
            left -= {path for path in outputs if value in (path, os.path.dirname(path))}
            word = f"{name}{equals}{inside(folder, value)}"
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
