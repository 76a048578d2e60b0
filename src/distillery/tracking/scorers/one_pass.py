"""OTB-100 and DTB70: one result file a sequence, one-pass evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.benchmarks.text_files import read_boxes
from distillery.tracking.boxes import BoolArray, FloatArray
from distillery.tracking.protocols import ope
from distillery.tracking.protocols.ope import DEFAULT, VARIANTS
from distillery.tracking.results import read_result, require_results
from distillery.tracking.scorers.base import Scored, Truth, by_attribute, without_attributes

__all__ = ["DEFAULT", "ROOM", "VARIANTS", "score", "score_one_pass"]

ROOM = "ope"


def score(truth: Truth, results: Path, protocol: str, *, allow_partial: bool = False) -> Scored:
    """Scores a folder of NAME.txt by a row of `ope.VARIANTS`."""
    return score_one_pass(truth, results, VARIANTS[protocol], _always_there, allow_partial=allow_partial)


def score_one_pass(
    truth: Truth,
    results: Path,
    how: ope.Variant,
    absent: Callable[[Sequence], BoolArray | None],
    *,
    allow_partial: bool = False,
) -> Scored:
    """Scores a folder of NAME.txt.

    Args:
        truth: The benchmark.
        results: The folder.
        how: The toolkit's definition.
        absent: Gives a sequence's (N,) frames without the target, or None where nobody labelled them.
        allow_partial: Score the sequences that have results.

    Raises:
        UserError: Naming the file, the place in it, and the remedy.
    """
    files = require_results(results, truth.sequences, allow_partial=allow_partial)
    scored = [sequence for sequence in truth.sequences if sequence.name in files]
    curves = {
        sequence.name: ope.evaluate(_read(files[sequence.name], sequence, how), sequence.truth, how, absent(sequence))
        for sequence in scored
    }
    mean = ope.mean(list(curves.values()), how)
    return Scored(
        numbers=dict(ope.numbers(mean, how)),
        curves={
            "success": mean.success.tolist(),
            "precision": mean.precision.tolist(),
            "normalized_precision": mean.normalized_precision.tolist(),
        },
        per_sequence={
            sequence.name: ope.numbers(curves[sequence.name], how) | {"frames": len(sequence)} for sequence in scored
        },
        by_attribute={name: _row(chosen, curves, how) for name, chosen in by_attribute(scored).items()},
        files={sequence.name: [files[sequence.name]] for sequence in scored},
        counts={"without_attributes": without_attributes(scored)},
    )


def _read(file: Path, sequence: Sequence, how: ope.Variant) -> FloatArray:
    boxes = read_result(file, sequence, allow_nan=how.repeat_invalid)
    if (row := ope.first_refused(boxes, how)) is not None:
        rows = len(read_boxes(file, allow_nan=how.repeat_invalid))
        skipped = sequence.omitted if rows == len(boxes) + sequence.omitted else 0
        raise UserError(
            "holds a negative width or height, for which pytracking calls the results invalid",
            file=file,
            place=f"line {skipped + row + 1}",
            remedy="run the tracker on this sequence again, or score by another protocol",
        )
    return boxes


def _row(chosen: list[Sequence], curves: Mapping[str, ope.Curves], how: ope.Variant) -> dict[str, float]:
    values = ope.numbers(ope.mean([curves[sequence.name] for sequence in chosen], how), how)
    return {key: values[key] for key in ("auc", "precision", "normalized_precision")} | {"sequences": len(chosen)}


def _always_there(sequence: Sequence) -> None:
    return None
