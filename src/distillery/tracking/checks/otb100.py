"""The check of OTB-100."""

from __future__ import annotations

from pathlib import Path

from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import otb100
from distillery.tracking.benchmarks.base import RESTORE, Sequence, image_files
from distillery.tracking.benchmarks.otb100_table import SEQUENCES
from distillery.tracking.benchmarks.text_files import read_boxes
from distillery.tracking.checks.oddities import ODDITIES
from distillery.tracking.checks.survey import survey


def check(root: Path) -> CheckReport:
    """Looks at every file: absent and malformed ground truth, absent and surplus images."""
    report = CheckReport(otb100.NAME, Path(root), known=ODDITIES[otb100.NAME])
    own = (report.root / "sequences.txt").exists()
    unlabelled = survey(otb100.wanted(report.root), report, look=None if own else _look)
    if unlabelled:
        report.notes.append(f"{unlabelled} sequences have no attributes (no anno/att/NAME.txt)")
    return report


def _look(sequence: Sequence, report: CheckReport) -> None:
    entry, name = SEQUENCES[sequence.name], sequence.name
    report.odd("later_start", f"{name} from {entry.first}", int(entry.first > 1))
    if sequence.truth_file.suffix == ".txt":
        rows = len(read_boxes(sequence.truth_file, remedy=RESTORE))
        report.odd("rows_before_the_first", name, rows - len(sequence))
    shared = sum(other.folder == entry.folder for other in SEQUENCES.values()) > 1
    report.odd("two_targets", name, int(shared))
    report.odd("second_target_alone", name, int(entry.target is not None and not shared))
    report.odd("five_digits", name, int(len(sequence.frames[0].stem) == 5))
    surplus = len(image_files(sequence.frames[0].parent)) - len(sequence.frames)
    report.odd("images_without_truth", name, surplus)
