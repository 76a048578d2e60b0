"""The check of DTB70."""

from __future__ import annotations

from pathlib import Path

from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import dtb70
from distillery.tracking.benchmarks.base import RESTORE, Sequence
from distillery.tracking.benchmarks.text_files import read_boxes
from distillery.tracking.checks.oddities import ODDITIES
from distillery.tracking.checks.survey import survey


def check(root: Path) -> CheckReport:
    """Looks at every file: absent and malformed ground truth, absent and surplus images."""
    report = CheckReport(dtb70.NAME, Path(root), known=ODDITIES[dtb70.NAME])
    if unlabelled := survey(dtb70.wanted(report.root), report, look=_look):
        report.notes.append(f"{unlabelled} sequences have no attributes (no att/NAME.txt)")
    return report


def _look(sequence: Sequence, report: CheckReport) -> None:
    rows = len(read_boxes(sequence.truth_file, remedy=RESTORE))
    report.odd("rows_after_the_last", sequence.name, rows - len(sequence))
    flags = dtb70.attribute_file(report.root, sequence.name)
    if flags is not None:
        given = read_boxes(flags, columns=(len(dtb70.ATTRIBUTES), dtb70.NAMED_BY_THE_TOOLKIT), remedy=RESTORE)
        report.odd("ten_flags", sequence.name, int(given.shape[1] == dtb70.NAMED_BY_THE_TOOLKIT))
