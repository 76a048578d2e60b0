"""The training sets that are read into shards, by name.

Modules are named, not imported: a job loads, and its rule declares, its own sets' code alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from distillery.errors import UserError
from distillery.tracking.training_sets.base import TrainingSet

_ROOM = "distillery.tracking.training_sets"


class Row(NamedTuple):
    """One set."""

    module: str
    """Offers `load(root)`; all but GOT-10k's, which is checked as a benchmark, also `check(root)`."""
    partial: bool = False
    """Whether images may be missing, which then are no corrupt ones."""


TRAINING_SETS = {
    "got10k": Row(f"{_ROOM}.got10k"),
    "vid": Row(f"{_ROOM}.vid"),
    "youtube_bb": Row(f"{_ROOM}.youtube_bb", partial=True),
    "coco": Row(f"{_ROOM}.coco"),
    "det": Row(f"{_ROOM}.det"),
}


def load(name: str, root: Path) -> TrainingSet:
    """Opens a training set.

    Raises:
        UserError: If the name is unknown, or naming what is absent or malformed.
    """
    found: TrainingSet = import_module(_row(name).module).load(Path(root))
    return found


def modules(*names: str) -> list[str]:
    """Modules that read the named sets, for the inputs of a rule."""
    return sorted(_row(name).module for name in names)


def _row(name: str) -> Row:
    if name not in TRAINING_SETS:
        raise UserError(f"unknown training set {name!r}", remedy=f"choose one of {', '.join(TRAINING_SETS)}")
    return TRAINING_SETS[name]
