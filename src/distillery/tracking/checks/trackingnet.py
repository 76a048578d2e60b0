"""The check of TrackingNet."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import trackingnet
from distillery.tracking.benchmarks.base import Sequence, require_folder
from distillery.tracking.benchmarks.trackingnet import HELD_OUT, TEST
from distillery.tracking.checks.oddities import ODDITIES
from distillery.tracking.checks.survey import survey


def check(root: Path) -> CheckReport:
    """Looks at every file of both parts: absent and malformed labels, absent images.

    Without `TEST` there is nothing to send to the server, which is worth a note and no fault.
    """
    root = Path(root)
    require_folder(root, "TrackingNet")
    report = CheckReport(trackingnet.NAME, root, known=ODDITIES[trackingnet.NAME])
    for part in (TEST, HELD_OUT):
        if part == TEST and not (root / part).exists():
            report.notes.append(f"no {TEST} part, so nothing can be sent to the evaluation server")
            continue
        wanted = report.attempt(partial(trackingnet.wanted, root, part), needs=root / part)
        if wanted is not None:
            survey(wanted, report, prefix=f"{part.lower()}_", look=_look if part == TEST else None)
    return report


def _look(sequence: Sequence, report: CheckReport) -> None:
    report.odd("first_box_only", sequence.name)
