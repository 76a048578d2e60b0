"""GOT-10k: several repetitions a sequence, NAME/NAME_001.txt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence, listing
from distillery.tracking.benchmarks.got10k import GOT10kSequence
from distillery.tracking.boxes import FloatArray
from distillery.tracking.protocols import got10k
from distillery.tracking.protocols.got10k import DEFAULT, VARIANTS
from distillery.tracking.results import find_repetitions, find_results, read_result
from distillery.tracking.scorers.base import Scored, Truth

__all__ = ["DEFAULT", "ROOM", "VARIANTS", "score"]

ROOM = "got10k"


def score(truth: Truth, results: Path, protocol: str, *, allow_partial: bool = False) -> Scored:
    """Scores NAME/NAME_001.txt … (all repetitions), or NAME.txt, by the toolkit's definition.

    Raises:
        UserError: Naming the file, the place in it, and the remedy.
    """
    files = _files(results, truth.sequences, allow_partial)
    scored = [sequence for sequence in truth.sequences if sequence.name in files]
    overlaps = {sequence.name: _overlaps(sequence, files[sequence.name]) for sequence in scored}
    pool = np.concatenate(list(overlaps.values()))
    repetitions = [len(files[sequence.name]) for sequence in scored]
    uncut = sum(sequence.image_size is None for sequence in scored)
    note = f"boxes of {uncut} sequences are not cut to the image, whose size is not known"
    return Scored(
        numbers=got10k.numbers(pool),
        curves={"success": got10k.curve(pool).tolist()},
        per_sequence={
            sequence.name: {**got10k.numbers(overlaps[sequence.name]), "frames": len(sequence)} for sequence in scored
        },
        by_attribute={},
        files={sequence.name: files[sequence.name] for sequence in scored},
        counts={"repetitions": max(repetitions), "scored_frames": len(pool)},
        extra={"note": note} if uncut else {},
    )


def _files(results: Path, sequences: list[Sequence], allow_partial: bool) -> dict[str, list[Path]]:
    found = find_repetitions(results, sequences)
    if not found:
        found = {name: [file] for name, file in find_results(results, sequences).items()}
    missing = [sequence.name for sequence in sequences if sequence.name not in found]
    if missing and (not allow_partial or not found):
        raise UserError(
            f"the result files of {listing(missing)} of {len(sequences)} sequences are missing",
            file=results,
            remedy="run the tracker on them (NAME/NAME_001.txt)"
            + (", or pass --allow-partial to score the others" if found else ""),
        )
    return found


def _overlaps(sequence: Sequence, files: list[Path]) -> FloatArray:
    if not isinstance(sequence, GOT10kSequence):
        raise TypeError(f"{sequence.name} has no labels of visibility")
    runs = [read_result(file, sequence) for file in files]
    return np.concatenate([got10k.overlaps(run, sequence.truth, sequence.cover, sequence.image_size) for run in runs])
