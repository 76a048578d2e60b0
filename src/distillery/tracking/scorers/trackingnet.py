"""TrackingNet: the evaluation server's definition, over a folder of NAME.txt or the zip archive that is sent in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distillery.errors import UserError
from distillery.tracking.benchmarks.archives import text_members
from distillery.tracking.benchmarks.base import Sequence, listing
from distillery.tracking.benchmarks.text_files import parse_boxes, read_boxes
from distillery.tracking.boxes import FloatArray
from distillery.tracking.protocols import trackingnet
from distillery.tracking.protocols.trackingnet import DEFAULT, VARIANTS
from distillery.tracking.results import find_results
from distillery.tracking.scorers.base import Scored, Truth

__all__ = ["DEFAULT", "ROOM", "VARIANTS", "score"]

ROOM = "trackingnet"
_REMEDY = "run the tracker on this sequence again"
_Boxes = tuple[Path, Callable[[], FloatArray]]


def score(truth: Truth, results: Path, protocol: str, *, allow_partial: bool = False) -> Scored:
    """Scores results as the server does.

    With `allow_partial`, sequences without a file count as boxes of zeros and frames without a row as failures, which
    is how the server treats them; without it they are errors.

    Raises:
        UserError: Naming the file, the place in it, and the remedy.
    """
    given = _from_archive(results) if results.suffix == ".zip" else _from_folder(results, truth.sequences)
    missing = [sequence.name for sequence in truth.sequences if sequence.name not in given]
    if len(missing) == len(truth.sequences) or (missing and not allow_partial):
        raise UserError(
            f"the result files of {listing(missing)} of {len(truth.sequences)} sequences are missing",
            file=results,
            remedy="run the tracker on them, or pass --allow-partial to count them as failures, as the server does",
        )
    boxes = {name: read() for name, (_, read) in given.items()}
    short = {
        sequence.name: _missing_rows(boxes[sequence.name], sequence, given[sequence.name][0], allow_partial)
        for sequence in truth.sequences
        if sequence.name in boxes
    }
    curves = {
        sequence.name: trackingnet.evaluate(boxes.get(sequence.name), sequence.truth) for sequence in truth.sequences
    }
    mean = trackingnet.mean(list(curves.values()))
    return Scored(
        numbers=dict(trackingnet.numbers(mean)),
        curves={
            "success": mean.success.tolist(),
            "precision": mean.precision.tolist(),
            "normalized_precision": mean.normalized_precision.tolist(),
        },
        per_sequence={
            sequence.name: trackingnet.numbers(curves[sequence.name]) | {"frames": len(sequence)}
            for sequence in truth.sequences
        },
        by_attribute={},
        files={sequence.name: [given[sequence.name][0]] for sequence in truth.sequences if sequence.name in given},
        counts={"missing_rows": sum(short.values())},
        extra={"note": "missing results count as failures, as on the server"} if missing or any(short.values()) else {},
    )


def _missing_rows(boxes: FloatArray, sequence: Sequence, file: Path, allow_partial: bool) -> int:
    surplus = len(boxes) - len(sequence)
    if surplus > 0 or (surplus and not allow_partial):
        raise UserError(
            f"has {len(boxes)} rows for {sequence.name}, which has {len(sequence)} frames", file=file, remedy=_REMEDY
        )
    return -surplus


def _from_archive(archive: Path) -> dict[str, _Boxes]:
    def reader(name: str, data: bytes) -> _Boxes:
        return archive, lambda: parse_boxes(data, archive / f"{name}.txt", remedy=_REMEDY)

    return {name: reader(name, data) for name, data in text_members(archive).items()}


def _from_folder(folder: Path, sequences: list[Sequence]) -> dict[str, _Boxes]:
    def reader(file: Path) -> _Boxes:
        return file, lambda: read_boxes(file, remedy=_REMEDY)

    return {name: reader(file) for name, file in find_results(folder, sequences).items()}
