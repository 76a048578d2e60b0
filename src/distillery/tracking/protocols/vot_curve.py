"""VOT's expected-overlap curve: runs are cut at their failures, and the pieces averaged for every length of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from distillery.tracking.boxes import FloatArray
from distillery.tracking.protocols.vot_runs import SKIP, STARTED, Case, Run


@dataclass(frozen=True)
class Piece:
    """A stretch of a run between a start and the next failure, or the run's end."""

    first: int
    """The frame of the start."""
    end: int
    """The frame after its last one."""
    length: int
    """Frames by which its share of tagged frames is divided."""
    failed: bool


def legacy_pieces(run: Run) -> Iterator[Piece]:
    """The cuts of the MATLAB toolkit and of pysot: pieces begin `SKIP` frames after a failure, and one that fails also
    holds the skipped frames and the first frame of the next.
    """
    total = len(run.codes)
    cuts = [0, *(failure + SKIP for failure in run.failures.tolist() if failure + SKIP <= total)]
    for first, following in pairwise(cuts):
        yield Piece(first, min(following + 1, total), following + 1 - first, failed=True)
    if cuts[-1] < total:
        yield Piece(cuts[-1], total, total - cuts[-1], failed=False)


def toolkit_pieces(run: Run) -> Iterator[Piece]:
    """From each start to the frame before the failure."""
    total, failures = len(run.codes), run.failures
    for first in np.flatnonzero(run.codes == STARTED).tolist():
        following = int(np.searchsorted(failures, first))
        failed = following < len(failures)
        end = int(failures[following]) if failed else total
        yield Piece(first, end, end - first, failed)


def curves(
    cases: list[Case], overlaps: list[FloatArray], pieces: Callable[[Run], Iterator[Piece]], tags: list[str]
) -> FloatArray:
    """(1 + tags, L) the expected-overlap curve of all frames and with pieces weighted by their share of each tag.

    Column i is that of clips of i + 1 frames, over which overlap is averaged without the first frame; NaN where no
    piece has a weight.
    """
    longest = max(map(len, cases))
    sums, weights = np.zeros((2, 1 + len(tags), longest))
    for case, rows in zip(cases, overlaps, strict=True):
        masks = np.stack([np.ones(len(case)), *(case.tags.get(tag, np.zeros(len(case))) for tag in tags)])
        for run, row in zip(case.runs, rows, strict=True):
            for piece in pieces(run):
                weight = masks[:, piece.first : piece.end].sum(axis=1) / (piece.length * len(case.runs))
                end = longest if piece.failed else piece.end - piece.first
                sums[:, :end] += weight[:, None] * _running_mean(row[piece.first : piece.end], end)
                weights[:, :end] += weight[:, None]
    curve = np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)
    curve[0, 0] = 1.0  # by definition: a tracker starts on the truth
    return curve


def _running_mean(overlaps: FloatArray, length: int) -> FloatArray:
    """Mean overlap of frames 2 … i + 1, for i < length, with zeros where there is no overlap or no frame."""
    known = np.nan_to_num(overlaps[1:])
    totals = np.concatenate([[0.0], known, np.zeros(length)])[:length].cumsum()
    means: FloatArray = totals / np.maximum(np.arange(length), 1)
    return means
