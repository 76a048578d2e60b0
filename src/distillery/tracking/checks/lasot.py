"""The check of LaSOT."""

from __future__ import annotations

from pathlib import Path

from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import lasot
from distillery.tracking.benchmarks.base import Sequence, image_files
from distillery.tracking.checks.oddities import ODDITIES
from distillery.tracking.checks.survey import survey


def check(root: Path) -> CheckReport:
    """Looks at every file: absent and malformed labels, absent and surplus images."""
    report = CheckReport(lasot.NAME, Path(root), known=ODDITIES[lasot.NAME])
    if unlabelled := survey(lasot.wanted(report.root), report, look=_look):
        report.notes.append(f"{unlabelled} sequences have no attributes (no att/NAME.txt)")
    return report


def count_labels(sequence: Sequence, report: CheckReport) -> None:
    """Counts what is odd about a sequence's boxes and labels of absence; needs no images."""
    assert isinstance(sequence, lasot.LaSOTSequence)
    empty, name = (sequence.truth[:, 2:] <= 0).any(axis=1), sequence.name
    report.odd("empty_while_absent", name, int((empty & sequence.absent).sum()))
    report.odd("empty_while_visible", name, int((empty & ~sequence.absent).sum()))
    report.odd("box_while_absent", name, int((~empty & sequence.absent).sum()))


def _look(sequence: Sequence, report: CheckReport) -> None:
    count_labels(sequence, report)
    surplus = len(image_files(sequence.frames[0].parent)) - len(sequence.frames)
    report.odd("images_without_truth", sequence.name, surplus)
