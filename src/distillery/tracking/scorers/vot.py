"""VOT2018 and VOT2019: runs with resets, NAME/NAME_001.txt … of codes and regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.data.checking import MAX_PIXELS
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.benchmarks.text_files import read_boxes
from distillery.tracking.benchmarks.vot import VOTSequence
from distillery.tracking.boxes import BoolArray, FloatArray
from distillery.tracking.protocols import vot
from distillery.tracking.protocols.vot import DEFAULT, VARIANTS
from distillery.tracking.protocols.vot_interval import Interval, interval_for
from distillery.tracking.protocols.vot_runs import Case
from distillery.tracking.scorers.base import Scored, Truth
from distillery.tracking.vot_results import read_run, require_runs

__all__ = ["DEFAULT", "ROOM", "VARIANTS", "score"]

ROOM = "vot"
INTERVAL_FILE = "eao_interval.txt"
"""In the benchmark's root: the first and the last length over which expected overlap is averaged."""
_UNTAGGED = "empty"
"""Frames without any difficulty, as VOT's toolkits call them."""


def score(truth: Truth, results: Path, protocol: str, *, allow_partial: bool = False) -> Scored:
    """Scores a tracker's folder by a row of `vot.VARIANTS`; repetitions are averaged.

    Raises:
        UserError: Naming the file, the place in it, and the remedy.
    """
    files = require_runs(results, truth.sequences, allow_partial=allow_partial)
    cases = [
        Case(
            name=sequence.name,
            truth=_regions(sequence),
            image_size=_size(sequence),
            runs=tuple(read_run(file, sequence) for file in files[sequence.name]),
            tags=_tags(sequence),
        )
        for sequence in truth.sequences
        if sequence.name in files
    ]
    interval = _interval(truth, [len(case) for case in cases])
    scores = vot.evaluate(cases, VARIANTS[protocol], interval)
    return Scored(
        numbers=scores.numbers,
        curves={"expected_overlap": scores.curve},
        per_sequence=scores.per_sequence,
        by_attribute=scores.by_tag,
        files={case.name: files[case.name] for case in cases},
        counts={"repetitions": max(len(case.runs) for case in cases), "untagged": sum(not case.tags for case in cases)},
        extra={"interval": {"low": interval.low, "high": interval.high, "source": interval.source}},
    )


def _regions(sequence: Sequence) -> FloatArray:
    if sequence.regions is None:
        return sequence.truth
    if isinstance(sequence, VOTSequence) and sequence.rectangle:
        corners = sequence.regions
        return np.concatenate([corners[:, :2], corners[:, 4:6] - corners[:, :2]], axis=1)
    return sequence.regions


def _size(sequence: Sequence) -> tuple[int, int]:
    size = sequence.image_size
    if size is None or size[0] * size[1] > MAX_PIXELS:
        what = "is not known" if size is None else f"is too large ({size[0]} x {size[1]} pixels)"
        raise UserError(
            f"the frame size of {sequence.name}, at which regions are cut, {what}",
            file=sequence.truth_file,
            remedy="put the sequence's first image where the benchmark has it",
        )
    return size


def _tags(sequence: Sequence) -> dict[str, BoolArray]:
    tags = dict(sequence.tags) if isinstance(sequence, VOTSequence) else {}
    return tags | {_UNTAGGED: ~np.any(list(tags.values()), axis=0)} if tags else {}


def _interval(truth: Truth, lengths: list[int]) -> Interval:
    file = truth.root / INTERVAL_FILE
    if not file.is_file():
        return interval_for(truth.benchmark, lengths)
    remedy = "write two whole numbers, the first and the last length"
    rows = read_boxes(file, columns=2, remedy=remedy)
    low, high = rows[0]
    if len(rows) != 1 or (rows != np.round(rows)).any() or not 1 <= low <= high:
        raise UserError("does not hold an interval of lengths", file=file, remedy=remedy)
    if low > max(lengths):
        raise UserError(f"begins at {low:g} frames, the longest sequence has {max(lengths)}", file=file, remedy=remedy)
    return Interval(int(low), int(high), INTERVAL_FILE)
