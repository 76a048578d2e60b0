"""LaSOT: one-pass evaluation that knows when the target is absent."""

from __future__ import annotations

from pathlib import Path

from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.benchmarks.lasot import LaSOTSequence
from distillery.tracking.boxes import BoolArray
from distillery.tracking.protocols.lasot import DEFAULT, VARIANTS
from distillery.tracking.scorers.base import Scored, Truth
from distillery.tracking.scorers.one_pass import score_one_pass

__all__ = ["DEFAULT", "ROOM", "VARIANTS", "score"]

ROOM = "lasot"


def score(truth: Truth, results: Path, protocol: str, *, allow_partial: bool = False) -> Scored:
    """Scores a folder of NAME.txt by a row of the LaSOT protocol's variants."""
    return score_one_pass(truth, results, VARIANTS[protocol], _absent, allow_partial=allow_partial)


def _absent(sequence: Sequence) -> BoolArray | None:
    return sequence.absent if isinstance(sequence, LaSOTSequence) else None
