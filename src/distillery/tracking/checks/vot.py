"""The checks of VOT2018 and VOT2019."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import vot
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.checks.oddities import ODDITIES
from distillery.tracking.checks.survey import survey


def check(root: Path, *, name: str | None = None) -> CheckReport:
    """Looks at every file: absent and malformed ground truth and tags, absent and surplus images."""
    report = CheckReport(name or "vot", Path(root), known=ODDITIES[name or "vot"])
    untagged = 0

    def look(sequence: Sequence, report: CheckReport) -> None:
        nonlocal untagged
        untagged += isinstance(sequence, vot.VOTSequence) and not sequence.tags
        _look(sequence, report)

    survey(vot.wanted(report.root, name), report, look=look)
    if untagged:
        report.notes.append(f"{untagged} sequences have no tags (no NAME/occlusion.tag …)")
    return report


def _look(sequence: Sequence, report: CheckReport) -> None:
    assert isinstance(sequence, vot.VOTSequence) and sequence.regions is not None
    report.odd("rectangle", sequence.name, int(sequence.rectangle))
    x, y = sequence.regions[:, 0::2], sequence.regions[:, 1::2]
    doubled = np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1))
    flat = doubled <= 0
    place = f"{sequence.name}, frame {int(flat.argmax()) + 1}"
    report.odd("empty_box" if sequence.rectangle else "flat_polygon", place, int(flat.sum()))
    folder = sequence.truth_file.parent
    if sequence.truth_file.suffix != ".txt":
        return
    for stems in vot.TAGS.values():
        for file in (folder / f"{stem}{suffix}" for stem in stems for suffix in (".tag", ".label")):
            if file.is_file():
                rows = len(file.read_bytes().split())
                report.odd("tags_empty", f"{sequence.name}, {file.name}", int(rows == 0))
                report.odd("tags_cut", f"{sequence.name}, {file.name}", int(0 < rows < len(sequence)))
                report.odd("illu_change", sequence.name, int(file.stem == "illu_change"))
