"""Repeating a command of the manifest without trusting it.

Only its words are taken: no shell sees them, only commands that a caller allows run, and what they write goes to a
folder of the caller's.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from distillery.errors import UserError
from distillery.sources import environment

_START = ["python", "-m", "distillery"]
_TRAINING = frozenset(
    f"--{name}"
    for name in (
        "params",
        "data",
        "seeds",
        "teacher",
        "recording",
        "crops",
        "searched",
        "table",
        "detector",
        "start",
        "out",
    )
)
OPTIONS = {
    "score-all": frozenset(("--benchmark", "--root", "--protocol", "--allow-partial", "--pairs")),
    "answer": frozenset(("--benchmark", "--answer", "--submission", "--out", "--label")),
    "tables": frozenset(("--params", "--metrics", "--sidecars", "--compute", "--curves", "--searches", "--out-dir")),
    "claims": frozenset(("--params", "--metrics", "--compute", "--out-dir")),
    **dict.fromkeys(("train-trackers", "train-search", "train-reid", "lookup"), _TRAINING),
}
"""Command -> options that rules give it. A recorded command with another one, abbreviations among them, is not
repeated: nobody could say what it writes."""


def words_of(command: str, allowed: tuple[str, ...]) -> list[str] | None:
    """The words of a recorded command from its name on, or None if it is not one of those allowed."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:3] != _START or len(words) < 4 or words[3] not in allowed:
        return None
    for end in ("2>&1", "|"):
        words = words[: words.index(end)] if end in words else words
    known = OPTIONS.get(words[3])
    if known is not None and not {word for word in words[4:] if word.startswith("-")} <= known:
        return None
    return words[3:]


def inside(folder: Path, path: str) -> Path:
    """A path of a manifest below a folder.

    Raises:
        UserError: If it would lead out of it.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise UserError("leads out of the project", file=path, remedy="restore the manifest")
    return folder / path


def options_of(words: list[str]) -> dict[str, list[str]]:
    """Option -> its values; what stands before the first option is left out."""
    found: dict[str, list[str]] = {}
    values: list[str] = []
    for word in words[1:]:
        if word.startswith("--"):
            values = found.setdefault(word, [])
        else:
            values.append(word)
    return found


def run(root: Path, words: list[str], *, timeout_s: float, variables: Mapping[str, str] | None = None) -> str | None:
    """Runs a command in a project with the code of this installation.

    Returns:
        None if it succeeded, else the last line that it said.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "distillery", *words],
            cwd=root,
            env=os.environ | environment() | dict(variables or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {timeout_s:.0f} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("distillery: ").rstrip(".")
