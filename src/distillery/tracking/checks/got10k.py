"""The check of GOT-10k."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import got10k
from distillery.tracking.benchmarks.base import Sequence, require_folder
from distillery.tracking.checks.oddities import ODDITIES
from distillery.tracking.checks.survey import survey

_WITHOUT = {
    "train": "no tracker can be trained on it",
    "val": None,
    "test": "nothing can be sent to the evaluation server",
}
"""Split -> what cannot be done where it is not there; None where it must be there."""


def check(root: Path) -> CheckReport:
    """Looks at every file of the splits: absent and malformed labels, absent images.

    `val` must be there; without `train` nothing is trained and without `test` nothing is sent to the server, which is
    worth a note and no fault.
    """
    root = Path(root)
    require_folder(root, "GOT-10k")
    report = CheckReport(got10k.NAME, root, known=ODDITIES[got10k.NAME])
    for split, without in _WITHOUT.items():
        if without and not (root / split).exists():
            report.notes.append(f"no {split} split, so {without}")
            continue
        wanted = report.attempt(partial(got10k.wanted, root, split), needs=root / split)
        if wanted is not None:
            survey(wanted, report, prefix=f"{split}_", tracked=split != "train", look=_look)
    return report


def _look(sequence: Sequence, report: CheckReport) -> None:
    if isinstance(sequence, got10k.GOT10kSequence):
        report.odd("absent_frame", sequence.name, int(sequence.absence.sum()))
        report.odd("hidden_frame", sequence.name, int((sequence.cover == 0).sum()))
    else:
        report.odd("first_box_only", sequence.name)
