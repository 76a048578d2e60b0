"""Result files of trackers: one text file a sequence, one row `x,y,w,h` a frame, as every OPE toolkit reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError
from distillery.files import atomic_folder
from distillery.tracking.benchmarks.base import Sequence, listing, read_boxes
from distillery.tracking.boxes import FloatArray
from distillery.tracking.naming import plain

DECIMALS = 4
_REMEDY = "run the tracker on this sequence again"


def write_results(folder: Path, results: Mapping[str, npt.ArrayLike]) -> None:
    """Writes `folder/NAME.txt` for every sequence; the folder appears whole or not at all.

    Args:
        folder: Where to; an older folder of the same name is replaced.
        results: Name -> (N, 4) xywh in the benchmark's numbering.
    """
    with atomic_folder(folder) as temporary:
        for name, boxes in results.items():
            write_boxes(temporary / f"{name}.txt", boxes)


def write_boxes(path: Path, boxes: npt.ArrayLike) -> None:
    """Writes one result file with four decimals; the same boxes give the same bytes.

    Raises:
        UserError: If a box is not finite, naming the file and the row.
    """
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    faulty = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if faulty.size:
        raise UserError(
            "the tracker gave a box that is not finite",
            file=path.name,
            place=f"line {faulty[0] + 1}",
            remedy="check its checkpoint and its input",
        )
    rounded = np.round(rows, DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    np.savetxt(path, rounded, fmt=f"%.{DECIMALS}f", delimiter=",", newline="\n")


def find_results(folder: Path, sequences: Iterable[Sequence]) -> dict[str, Path]:
    """Finds each sequence's result file under any of the usual spellings; sequences without one are left out.

    Jogging-1 is found as Jogging-1, Jogging.1, jogging_1 or Jogging1 (`.txt`), OTB-100's Human4-2 also as Human4.

    Raises:
        UserError: If the folder is absent, or two files claim to be the same sequence.
    """
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(problem, file=folder, remedy="pass the folder that holds the tracker's NAME.txt files")
    files = sorted(file for file in folder.iterdir() if file.suffix == ".txt" and not file.name.startswith("."))
    exact = {file.stem: file for file in files}
    spelt: dict[str, list[Path]] = {}
    for file in files:
        spelt.setdefault(plain(file.stem), []).append(file)
    found = {}
    for sequence in sequences:
        for name in (sequence.name, *sequence.aliases):
            candidates = [exact[name]] if name in exact else spelt.get(plain(name), [])
            if len(candidates) > 1:
                raise UserError(
                    f"{candidates[0].name} and {candidates[1].name} both are results of {sequence.name}",
                    file=folder,
                    remedy=f"keep the right one and name it {sequence.name}.txt",
                )
            if candidates:
                found[sequence.name] = candidates[0]
                break
    return found


def require_results(folder: Path, sequences: list[Sequence], *, allow_partial: bool = False) -> dict[str, Path]:
    """`find_results`, where an absent file is an error unless `allow_partial`; none at all always is."""
    found = find_results(folder, sequences)
    missing = [sequence.name for sequence in sequences if sequence.name not in found]
    if missing and (not allow_partial or not found):
        raise UserError(
            f"the result files of {listing(missing)} of {len(sequences)} sequences are missing",
            file=folder,
            remedy="run the tracker on them" + (", or pass --allow-partial to score the others" if found else ""),
        )
    return found


def read_result(path: Path, sequence: Sequence, *, allow_nan: bool = False) -> FloatArray:
    """Reads a result file of `sequence`.

    Args:
        path: The file.
        sequence: Whose result it is.
        allow_nan: Whether the protocol defines what a NaN row means.

    Returns:
        (N, 4) xywh, one row a scored frame; rows that the benchmark omits at the start are dropped.

    Raises:
        UserError: If the file is malformed or does not have a row for each frame.
    """
    boxes = read_boxes(path, allow_nan=allow_nan, remedy=_REMEDY)
    if len(boxes) == len(sequence) + sequence.omitted:
        return boxes[sequence.omitted :]
    if len(boxes) != len(sequence):
        raise UserError(
            f"has {len(boxes)} rows, the sequence {sequence.name} has {len(sequence)} frames",
            file=path,
            remedy=_REMEDY,
        )
    return boxes
