"""Result files of trackers: rows `x,y,w,h` a frame, one text file a sequence or (GOT-10k, VOT) one a repetition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError
from distillery.files import atomic_folder
from distillery.tracking.benchmarks.base import Sequence, listing
from distillery.tracking.benchmarks.text_files import read_boxes
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
            text = format_boxes(boxes, f"{name}.txt")
            (temporary / f"{name}.txt").write_text(text, encoding="ascii", newline="\n")


def format_boxes(boxes: npt.ArrayLike, file: str) -> str:
    """The text of one result file, with four decimals; the same boxes give the same text.

    Raises:
        UserError: If a box is not finite, naming the file and the row.
    """
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    faulty = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if faulty.size:
        raise UserError(
            "the tracker gave a box that is not finite",
            file=file,
            place=f"line {faulty[0] + 1}",
            remedy="check its checkpoint and its input",
        )
    rounded = np.round(rows, DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    return "".join(",".join(f"{value:.{DECIMALS}f}" for value in row) + "\n" for row in rounded.tolist())


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
    wanted = list(sequences)
    exact = {file.stem: file for file in files}
    others = {sequence.name for sequence in wanted}  # names that differ in spelling alone (YouTube's) stay apart
    spelt: dict[str, list[Path]] = {}
    for file in files:
        if file.stem not in others:
            spelt.setdefault(plain(file.stem), []).append(file)
    found = {}
    for sequence in wanted:
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


def find_repetitions(folder: Path, sequences: Iterable[Sequence]) -> dict[str, list[Path]]:
    """Finds the result files of each sequence, `NAME/NAME_001.txt` and on, in order; those without one are left out."""
    if not folder.is_dir():
        raise UserError("is not a folder", file=folder, remedy="pass the folder that holds the NAME/NAME_001.txt files")
    found = {}
    for sequence in sequences:
        numbered = sorted((folder / sequence.name).glob("*_[0-9][0-9][0-9].txt"))
        files = [file for file in numbered if file.stem[:-4] == sequence.name]
        if files:
            found[sequence.name] = files
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
        (N, 4) xywh, one row a scored frame; rows before and after the frames that the benchmark scores are dropped.

    Raises:
        UserError: If the file is malformed or does not have a row for each frame.
    """
    boxes = read_boxes(path, allow_nan=allow_nan, remedy=_REMEDY)
    rows = max(len(sequence), len(sequence.frames))  # a server's test set has more frames than boxes
    if len(boxes) == rows + sequence.omitted:
        return boxes[sequence.omitted :]
    if sequence.runs_on and len(boxes) > rows:
        return boxes[:rows]
    if len(boxes) != rows:
        raise UserError(
            f"has {len(boxes)} rows, the sequence {sequence.name} has {rows} frames", file=path, remedy=_REMEDY
        )
    return boxes
